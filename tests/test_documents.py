"""Documents run: every shell and Python block of the README and the guides, and the doctests."""

import contextlib
import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cutline
from cutline.data.scenes import ScenePicture
from support import terminal, tiny

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- (slow|needs: shared) -->\n)?```(bash|python)\n(.*?)```", re.DOTALL)

# `make demo` in a document means the real thing; here it trains on a handful of scenes
MAKE = """
make() {
    [ "$1" = demo ] || return 1
    cutline demo data.scenes.train=48 data.scenes.val=8 data.scenes.test=24 training.epochs=1
}
"""

FEW = "training.epochs=1 data.scenes.train=96 data.scenes.val=8 data.scenes.test=16"


def blocks(name: str) -> list[tuple[str, str, str]]:
    """Return (mark, language, code) of each block of a document."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(mark, language, code) for _, mark, language, code in BLOCK.findall(text)]


def run(language: str, code: str, folder: Path, home: Path) -> None:
    """Run a block in a folder: Python here, which has loaded PyTorch, the shell in its own."""
    if language == "python":
        with contextlib.chdir(folder):
            exec(code, {"__name__": "__main__"})
        return
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "JAVA_HOME": str(home),
    }
    words = ["bash", "-eu", "-c", MAKE + code]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def no_java(tmp_path_factory) -> Path:
    """A JAVA_HOME whose Java does not run: METEOR, left out, is loaded in 8 s by each command."""
    home = tmp_path_factory.mktemp("no_java")
    (home / "bin").mkdir()
    (home / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    (home / "bin" / "java").chmod(0o755)
    return home


@pytest.fixture(scope="module")
def desk(tmp_path_factory, no_java) -> Path:
    """A folder as the documents assume it: photographs, and the model of `make demo`."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "holiday").mkdir()
    ScenePicture(1, 200).open().save(folder / "photo.jpg")
    for seed in range(3):
        ScenePicture(seed, 100).open().save(folder / "holiday" / f"{seed}.jpg")
    run("bash", "make demo", folder, no_java)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/index.md",
        "docs/install.md",
        "docs/caption.md",
        "docs/photo-library.md",
        "docs/alt-text.md",
        "docs/scores.md",
        "docs/scenes.md",
        "docs/data.md",
        "docs/api.md",
    ],
)
def test_every_block_of_a_document_runs(desk, no_java, name):
    for mark, language, code in blocks(name):
        if not mark and "make demo" not in code:
            run(language, code, desk, no_java)
        for written in desk.glob("photo.*"):
            if written.suffix != ".jpg":
                written.unlink()


def test_make_demo_leaves_what_the_readme_promises(desk):
    report = (desk / "runs/demo/report.html").read_text(encoding="utf-8")
    assert report.count("<article") >= 8 or report.count("data:image") >= 8
    assert (desk / "runs/demo/scores.json").is_file()


def test_a_second_demo_moves_the_first_aside(desk, no_java, tmp_path, monkeypatch):
    shutil.copytree(desk / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(no_java))
    kept = Path("runs/demo/scores.json").read_text()
    scenes = {"train": 8, "val": 4, "test": 4}
    with tiny.no_graphs():
        done = terminal.cutline(
            "demo", *(f"data.scenes.{s}={n}" for s, n in scenes.items()), "training.epochs=1"
        )
    assert done.returncode == 0, done.stderr
    assert Path("runs/demo-1/scores.json").read_text() == kept
    assert Path("runs/demo/scores.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/train.md", "docs/coursework.md"])
def test_every_slow_block_of_a_document_runs(desk, no_java, name, shared, tmp_path):
    own = tmp_path / "desk"  # the documents train into the same folders
    shutil.copytree(desk, own)
    (tmp_path / "shared").symlink_to(shared)
    (own / "recipes").symlink_to(ROOT / "recipes")
    for mark, language, code in blocks(name):
        if mark:
            short = code.replace("soft.yaml", "soft.yaml training.epochs=1")
            run(language, short.replace("training.epochs=4", FEW), own, no_java)


def test_the_pages_written_from_the_code_are_up_to_date(tool, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pages.py", "--check"])
    assert not tool("pages").main()


def test_a_page_that_is_missing_is_named(tool, monkeypatch, tmp_path, capsys):
    pages = tool("pages")
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["pages.py", "--check"])
    assert pages.main() == 1
    assert f"{tmp_path / 'captioners.md'} is missing" in capsys.readouterr().out


MODULES = [module.name for module in pkgutil.walk_packages(cutline.__path__, "cutline.")]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
