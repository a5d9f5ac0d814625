"""C++ of our own is compiled once, and done without where that fails."""

import os
import shutil
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
def test_a_file_that_is_no_library_is_made_anew(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as during:
        during.setattr(native, "_make", lambda *given: given[-1].write_text("not a library"))
        assert native_library(source, tmp_path) is None
    library = native_library(source, tmp_path)
    assert library is not None
    assert library.answer() == 42


@needs_compiler
@pytest.mark.parametrize("cxx", ["no-such-compiler", 'g++ -DX="a', "env g++"])
def test_whatever_cxx_says_nothing_is_raised(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cxx: str
):
    monkeypatch.setenv("CXX", cxx)
    library = native_library(source, tmp_path / "native")
    assert (library is not None) == (cxx == "env g++" and bool(shutil.which("g++")))


def test_where_nothing_can_be_written_it_is_done_without(source: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert native_library(source, tmp_path / "file") is None


@needs_compiler
@pytest.mark.parametrize("whose", ["another's", "a folder for all", "a file for all", "a link"])
def test_what_others_may_have_written_is_not_loaded(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
):
    folder = tmp_path / "native"
    assert native_library(source, folder) is not None
    (made,) = folder.iterdir()
    if whose == "another's":
        there = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: there + 1)
    elif whose == "a folder for all":
        folder.chmod(0o777)
    elif whose == "a file for all":
        made.chmod(0o777)
    else:
        made.chmod(0o777)
        made.rename(tmp_path / "elsewhere.so")
        made.symlink_to(tmp_path / "elsewhere.so")
    loaded = []
    monkeypatch.setattr(native.ctypes, "CDLL", lambda path: loaded.append(Path(path).lstat()))
    native_library(source, folder)
    assert all(not known.st_mode & 0o022 for known in loaded)
    assert len(loaded) == (whose in ("a file for all", "a link"))  # made anew


@needs_compiler
def test_the_name_of_a_library_tells_processors_apart(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert native._processor()
    for processor in ("one", "another"):
        monkeypatch.setattr(native, "_processor", lambda name=processor: name)
        native_library(source, tmp_path / "native")
    assert len(list((tmp_path / "native").iterdir())) == 2
