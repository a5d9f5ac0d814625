"""The examples that ask a service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PYTHON, SHELL, JAVASCRIPT = (EXAMPLES / f"serve_client.{kind}" for kind in ("py", "sh", "mjs"))


def run(*words, **environment):
    return subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.fixture
def photo(tmp_path, jpeg):
    path = tmp_path / 'a "photo", of; sorts.jpg'
    path.write_bytes(jpeg)
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.jpg"
    path.write_text("no picture")
    return path


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_the_python_client_captions_many_and_tells_of_a_bad_one(running, photo, bad, captioner):
    done = run(sys.executable, PYTHON, running.url, photo, bad, photo)
    assert done.returncode == 0, done.stderr
    expected = captioner.caption(photo).hedged
    first, second, third = (line.partition("\t")[2] for line in done.stdout.splitlines())
    assert first == third == expected
    assert "is not a picture" in second
    assert len(PYTHON.read_text().splitlines()) <= 55


def test_curl_captions_and_tells_why_not(running, photo, bad, captioner):
    needs("curl")
    done = run("sh", SHELL, running.url.rstrip("/"), photo, CUTLINE_TOKEN="not-needed-here")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["caption"] == captioner.caption(photo).text
    assert len(result["alternatives"]) == 2
    done = run("sh", SHELL, running.url.rstrip("/"), bad)
    assert done.returncode == 22
    assert json.loads(done.stdout)["code"] == "unreadable_image"


def test_javascript_captions_and_tells_why_not(running, photo, bad, captioner):
    needs("node")
    done = run("node", JAVASCRIPT, running.url.rstrip("/"), photo)
    assert done.returncode == 0, done.stderr
    expected = captioner.caption(photo)
    first, *words = done.stdout.splitlines()
    assert first == expected.hedged
    assert [line.rpartition(" ")[0] for line in words] == list(expected.words)
    done = run("node", JAVASCRIPT, running.url.rstrip("/"), bad)
    assert done.returncode == 1
    assert "is not a picture" in done.stderr
