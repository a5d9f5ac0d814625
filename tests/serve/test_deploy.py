"""The container file and the systemd unit: what they say is what the service needs and does."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cutline.serve import Limits
from serve.conftest import begin, started

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "cutline.service"
CONTAINER = ROOT / "deploy" / "Containerfile"
KNOWN = {
    *("FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE"),
    *("STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"),
}
NO_NETWORK = "Temporary failure in name resolution|Max retries|NewConnectionError|timed out"


def instructions() -> list[tuple[str, str]]:
    """The instructions of the container file: their words, and what follows."""
    text = re.sub(r"^#.*\n", "", CONTAINER.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def the(word: str) -> str:
    """What follows the last instruction of that name."""
    return [rest for name, rest in instructions() if name == word][-1]


def copied() -> list[str]:
    """What is copied from the repository."""
    given = [rest.split() for name, rest in instructions() if name == "COPY"]
    return [name for words in given if not words[0].startswith("--") for name in words[:-1]]


def is_healthy(port: int) -> bool:
    """Run the container's health check against a port."""
    words = json.loads(the("HEALTHCHECK").partition("CMD ")[2])
    code = words[-1].replace(":8000", f":{port}")
    done = subprocess.run([sys.executable, *words[1:-1], code], capture_output=True, check=False)
    return done.returncode == 0


def setting(name: str) -> str:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(UNIT)
    return unit["Service"][name]


def test_the_unit_is_sandboxed_and_starts_the_command():
    words = shlex.split(setting("ExecStart"))
    assert words[:3] == ["/opt/cutline/bin/cutline", "serve", "--token-file"]
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "MemoryDenyWriteExecute"):
        assert setting(name) == "yes"
    assert setting("ProtectSystem") == "strict"


def test_systemd_finds_no_fault_in_the_unit():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    words = ["systemd-analyze", "verify", UNIT]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wrong = [line for line in done.stderr.splitlines() if "cutline.service:" in line]
    assert [line for line in wrong if "not executable" not in line] == []


def test_the_unit_waits_as_long_as_a_request_may_take():
    limits = Limits()
    assert int(setting("TimeoutStopSec")) > limits.receive + limits.answer + limits.send


def test_unit_container_and_page_say_the_same_memory():
    asked = re.search(r"Give either (\d+) GB", (ROOT / "docs" / "serve.md").read_text())[1]
    assert setting("MemoryMax") == f"{asked}G"
    assert f"--memory={asked}g" in CONTAINER.read_text()


def test_the_container_copies_what_there_is_and_runs_as_nobody_special():
    assert {name for name, _ in instructions()} <= KNOWN
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert the("USER") == "cutline"
    assert the("STOPSIGNAL") == "SIGTERM"
    words = json.loads(the("ENTRYPOINT"))
    assert words[words.index("--port") + 1] == the("EXPOSE")


def test_the_containers_command_is_healthy_until_it_is_told_to_end():
    running = begin(*json.loads(the("ENTRYPOINT"))[2:-1], "0")
    assert is_healthy(running.port)
    running.process.terminate()
    assert running.process.wait(timeout=30) == 0
    assert not is_healthy(running.port)


@pytest.mark.slow
def test_the_containers_steps_install_what_captions(tmp_path):
    source, place = tmp_path / "source", tmp_path / "opt" / "cutline"
    for name in copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    step = next(rest for name, rest in instructions() if name == "RUN")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", step.replace("/opt/cutline", str(place))],
        cwd=source,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and re.search(NO_NETWORK, done.stderr):
        pytest.skip("there is no network to install from")
    assert done.returncode == 0, done.stderr[-2000:]
    shutil.rmtree(source)
    assert not list(place.glob("lib/python*/site-packages/torch"))
    words = [word.replace("/opt/cutline", str(place)) for word in json.loads(the("ENTRYPOINT"))]
    settings = dict(pair.split("=") for pair in the("ENV").split())
    empty = tmp_path / "empty"
    empty.mkdir()
    running = started(
        [*words[:-1], "0"], cwd=empty, env={**environment, **settings, "HOME": "/nonexistent"}
    )
    assert is_healthy(running.port)
    running.process.terminate()
    assert running.process.wait(timeout=30) == 0
    assert list(empty.iterdir()) == []
