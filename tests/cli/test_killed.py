"""Runs that are killed at any moment and gone on with end as if nothing had happened."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dt="http://darktable.sf.net/" dt:rating="3"/></rdf:RDF></x:xmpmeta>"""
CASES = {
    "text": ["--format", "text", "--sidecar", "txt"],
    "jsonl": ["--format", "jsonl", "--sidecar", "caption"],
    "csv": ["--format", "csv", "--sidecar", "json,xmp"],
    "coco": ["--format", "coco", "--sidecar", "txt,json,xmp"],
    "held back": ["--format", "coco", "--sidecar", "xmp", "--at-least", "0.5"],
    "sidecars alone": ["--sidecar", "txt,caption,json,xmp"],
    "append": ["--sidecar", "txt,caption,xmp", "--append"],
    "overwrite": ["--sidecar", "txt,json,xmp", "--overwrite"],
}


def library(folder, count):
    """Make a folder of small pictures, one in 50 unreadable, and sidecars of other programs."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for number in range(count):
        name = f"{'low' if number % 7 == 0 else 'img'}{number:03d}.png"
        if number % 50 == 9:
            (photos / name).write_bytes(b"no picture")
        else:
            Image.new("RGB", (8, 8), (number % 256, 0, 0)).save(photos / name)
        if number % 3 == 0:
            (photos / f"{name}.xmp").write_text(XMP)
    return folder


def words_beside(folder):
    for path in sorted((folder / "photos").glob("*1.png")):
        path.with_suffix(".txt").write_text("my own words")


def start(folder, words, seconds):
    settings = {"STAND_IN_SECONDS": str(seconds), "PYTHONPATH": str(TESTS.parent / "src")}
    return subprocess.Popen(
        [sys.executable, TESTS / "support" / "stand_in.py", "caption", "photos", *words],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def disturbed(tmp_path, case, *, count, kills, seconds):
    """Return what an undisturbed run leaves, what a killed one does, and how often it was."""
    words = list(CASES[case])
    if "--format" in words:
        words += ["--out", "out"]
    library(tmp_path / "calm", count)
    if case in ("append", "overwrite"):
        words_beside(tmp_path / "calm")
    shutil.copytree(tmp_path / "calm", tmp_path / "killed")
    assert start(tmp_path / "calm", words, 0).wait(timeout=600) == 1  # some are unreadable
    draw, killed = random.Random(case), 0
    for _ in range(kills):
        before = at_work()
        process = start(tmp_path / "killed", words, seconds)
        begun = time.monotonic()
        while process.poll() is None and at_work() <= before and time.monotonic() - begun < 60:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 2 * seconds * count / kills))
        process.kill()
        killed += process.wait() < 0
        words += [] if "--resume" in words else ["--resume"]
    assert start(tmp_path / "killed", words, 0).wait(timeout=600) == 1
    return contents(tmp_path / "calm"), contents(tmp_path / "killed"), killed


def at_work():
    """Return the marks of processes that began to write, those that were killed among them."""
    return {path.name for path in Path(os.environ["CUTLINE_CACHE"], "drafts").glob("*.lock")}


@pytest.mark.parametrize("case", ["csv", "append"])
def test_a_killed_run_that_is_gone_on_with_leaves_what_an_undisturbed_one_does(tmp_path, case):
    calm, killed, times = disturbed(tmp_path, case, count=40, kills=2, seconds=0.01)
    assert killed == calm
    assert times
    assert "failed.jsonl" in {Path(name).name for name in calm}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_five_hundred_pictures_and_twenty_kills(tmp_path, case):
    calm, killed, times = disturbed(tmp_path, case, count=500, kills=20, seconds=0.01)
    assert killed == calm
    assert times >= 15
