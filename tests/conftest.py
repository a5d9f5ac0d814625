"""Fixtures that several test files use."""

import os
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

# several test processes run side by side: with more threads than cores they spin for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


TREE = pytest.StashKey[set[str]]()
LEFT = pytest.StashKey[list[str]]()


def pytest_sessionstart(session):
    """Note what git says of the tree; only in the process that the others report to."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[TREE] = _changed()


def pytest_sessionfinish(session):
    """Fail where the tests, or somebody meanwhile, changed the tree."""
    before = session.config.stash.get(TREE, None)
    if before is None:
        return
    session.config.stash[LEFT] = left = sorted(_changed() - before)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Name what was left in the tree."""
    if left := config.stash.get(LEFT, None):
        terminalreporter.section("the tree is not as it was before the tests", red=True)
        terminalreporter.write("\n".join([*left, ""]))


def _changed():
    """What git says of files that are changed or new; nothing where this is no checkout."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return set()
    return set(done.stdout.splitlines())


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """What is cached while testing is cached for the tests."""
    with pytest.MonkeyPatch.context() as during:
        during.setenv("CUTLINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs, weights and reference scores beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("../shared (real photographs, weights, reference scores) is not here")
    return SHARED


@pytest.fixture
def tool(monkeypatch):
    """Import a module of tools/, benchmarks/ or experiments/, which the package has not."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module


@pytest.fixture
def no_heif(monkeypatch):
    """Read pictures as where pillow-heif is not installed, whether it is or not."""
    from cutline.images import kinds

    formats = tuple(name for name in kinds._FORMATS if name != kinds.HEIF)
    suffixes = dict.fromkeys(kinds._SUFFIXES[kinds.HEIF].split(), (kinds.HEIF, False))
    monkeypatch.setattr(kinds, "_FORMATS", formats)
    monkeypatch.setattr(kinds, "_BY_SUFFIX", {**kinds._BY_SUFFIX, **suffixes})
