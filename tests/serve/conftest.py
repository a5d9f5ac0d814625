"""A service in this process, a service in a process of its own, and a browser."""

import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

import cutline
from cutline.data.scenes import ScenePicture
from cutline.serve import Limits, Service, build_app

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-some-length"


@dataclass
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen
    url: str
    lines: list[str]

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def log(self) -> str:
        return "".join(self.lines)


def begin(*words, **environment) -> Running:
    """Start `cutline serve` on a free port, and wait until it says where it listens."""
    command = [sys.executable, "-m", "cutline", "serve", "--port", "0", "--threads", "1", *words]
    return started(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment})


def started(command, **options) -> Running:
    """Start a service, and wait until it says where it listens."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"captions at (http\S+)", line):
            threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
            return Running(process, found[1], lines)
    raise AssertionError("".join(lines))


def end(running: Running) -> int:
    running.process.terminate()
    return running.process.wait(timeout=30)


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A drawn scene as a JPEG."""
    buffer = io.BytesIO()
    ScenePicture(5, 200).open().convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A PNG of a few kilobytes that has 100 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def captioner():
    return cutline.load(threads=1)


@pytest.fixture
def client(captioner):
    """Return a client of a service with some limits, and a token if one is given."""
    opened: list[TestClient] = []

    def build(token=None, load=None, **limits) -> TestClient:
        service = Service(captioner, load=load, limits=Limits(**limits))
        made = TestClient(build_app(service, token=token), raise_server_exceptions=False)
        made.service = service
        opened.append(made.__enter__())
        return made

    yield build
    for made in opened:
        made.__exit__(None, None, None)


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    found = begin("--receive-seconds", "2", "--max-megabytes", "4", "--send-seconds", "2")
    yield found
    end(found)


@pytest.fixture(scope="session")
def browser():
    """Chromium, where it and Playwright are installed."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
