"""C++ of our own is compiled once, and done without where that fails."""

import os
from pathlib import Path

import pytest

from cutline import native
from cutline.compiled import compiler
from cutline.native import native_library

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "with a space" / "answer.cpp"
    file.parent.mkdir()
    file.write_text('extern "C" int answer() { return 42; }')
    return file


@needs_compiler
def test_it_is_compiled_once_and_anew_when_the_source_has_changed(source: Path, tmp_path: Path):
    folder = tmp_path / "made here"
    library = native_library(source, folder)
    assert library is not None
    assert library.answer() == 42
    (made,) = folder.iterdir()
    before = made.stat().st_mtime_ns
    assert native_library(source, folder) is not None
    assert made.stat().st_mtime_ns == before
    source.write_text(source.read_text().replace("42", "43"))
    changed = native_library(source, folder)
    assert changed is not None
    assert changed.answer() == 43
    assert len(list(folder.iterdir())) == 2


def test_what_does_not_compile_is_done_without(source: Path, tmp_path: Path):
    source.write_text("this is no C++")
    assert native_library(source, tmp_path / "native") is None
    assert not list((tmp_path / "native").glob("*.so"))


def test_without_a_compiler_or_when_asked_nothing_is_made(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as during:
        during.setenv("CXX", "no-such-compiler")
        assert native_library(source, tmp_path / "native") is None
    monkeypatch.setenv("CUTLINE_NATIVE", "0")
    assert native_library(source, tmp_path / "native") is None
    assert not (tmp_path / "native").exists()


@needs_compiler
def test_where_nothing_can_be_written_or_it_is_broken_it_is_done_without(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    assert native_library(source, tmp_path / "file") is None
    monkeypatch.setattr(native, "_make", lambda *given: given[-1].write_text("not a library"))
    assert native_library(source, tmp_path) is None


@needs_compiler
def test_what_somebody_else_has_put_there_is_not_loaded(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert native_library(source, tmp_path / "native") is not None
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    monkeypatch.setattr(native.ctypes, "CDLL", lambda *_: pytest.fail("it was loaded"))
    assert native_library(source, tmp_path / "native") is None


@needs_compiler
def test_the_name_of_a_library_tells_processors_apart(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert native._processor()
    for processor in ("one", "another"):
        monkeypatch.setattr(native, "_processor", lambda name=processor: name)
        native_library(source, tmp_path / "native")
    assert len(list((tmp_path / "native").iterdir())) == 2
