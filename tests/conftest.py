"""Fixtures that several test files use."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

# several test processes run side by side: with more threads than cores they spin for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


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
