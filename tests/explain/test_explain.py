"""One call explains a caption in the form that the name of the file asks for."""

import sys

import numpy as np
import pytest
from PIL import Image

from cutline.errors import CutlineError, MissingDependencyError, UsageError
from cutline.explain import SUFFIXES, check_target, explain
from cutline.explain.explainable import looks, share, words


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_suffix_writes_its_form_and_nothing_else(suffix, say, photo, tmp_path):
    path = tmp_path / f"dog{suffix}"
    explain(photo, say("a dog"), path)
    starts = {".png": b"\x89PNG", ".gif": b"GIF89a", ".html": b"<!doctype html>"}
    assert path.read_bytes().startswith(starts[suffix])
    assert list(tmp_path.iterdir()) == [path]


def test_a_suffix_in_capitals_is_understood(say, photo, tmp_path):
    explain(photo, say("dog"), tmp_path / "DOG.HTML")
    assert (tmp_path / "DOG.HTML").exists()


@pytest.mark.parametrize(("name", "given"), [("x.jpg", "ends in .jpg"), ("x", "has no suffix")])
def test_another_suffix_is_refused_and_the_allowed_ones_listed(name, given, say, photo, tmp_path):
    with pytest.raises(UsageError, match=rf"{given}; an explanation ends in \.png, \.gif, \.html"):
        explain(photo, say("dog"), tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_it_may_be_overwritten(suffix, say, photo, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_text("precious")
    with pytest.raises(UsageError, match=rf"x\{suffix} exists and is not overwritten; give an"):
        explain(photo, say("dog"), path)
    assert path.read_text() == "precious"
    explain(photo, say("dog"), path, overwrite=True)
    assert path.stat().st_size > 1000


def test_a_missing_folder_is_made(say, photo, tmp_path):
    explain(photo, say("dog"), tmp_path / "new" / "x.html")
    assert (tmp_path / "new" / "x.html").exists()


def test_a_folder_is_not_overwritten(say, photo, tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(UsageError, match=r"x\.png is a folder"):
        explain(photo, say("dog"), tmp_path / "x.png", overwrite=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("text", ["", "$5_x^2$ собака " + "x" * 200, "dog " * 50], ids=len)
def test_a_caption_without_attention_is_explained_by_its_words(suffix, text, say, photo, tmp_path):
    explain(photo, say(text, attends=False), tmp_path / f"x{suffix}")
    assert (tmp_path / f"x{suffix}").stat().st_size > 1000


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_several_captioners_are_explained_in_one_file(suffix, say, photo, tmp_path):
    alone, both = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    explain(photo, {"soft": say("a dog")}, alone)
    explain(photo, {"soft": say("a dog"), "nic": say("a cat", attends=False)}, both)
    assert both.stat().st_size > alone.stat().st_size


def test_an_animation_shows_one_captioner(say, photo, tmp_path):
    two = {"soft": say("a dog"), "nic": say("a cat", attends=False)}
    with pytest.raises(UsageError, match=r"shows one model, not 2; give a \.png or \.html"):
        explain(photo, two, tmp_path / "x.gif")
    with pytest.raises(UsageError, match="shows one model"):
        check_target(tmp_path / "x.gif", captions=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_captioner_at_all_is_refused(suffix, photo, tmp_path):
    with pytest.raises(UsageError, match="no caption to explain"):
        explain(photo, {}, tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_styles_differ_and_smooth_is_the_default(suffix, say, photo, tmp_path):
    made = {}
    for name, options in {
        "usual": {},
        "smooth": {"style": "smooth"},
        "cells": {"style": "cells"},
    }.items():
        explain(photo, say("a dog"), tmp_path / f"{name}{suffix}", **options)
        made[name] = (tmp_path / f"{name}{suffix}").read_bytes()
    assert made["usual"] == made["smooth"] != made["cells"]


def test_a_style_that_does_not_exist_is_refused(say, photo, tmp_path):
    with pytest.raises(UsageError, match=r"did you mean 'cells'\? Allowed: cells, smooth"):
        explain(photo, say("dog"), tmp_path / "x.html", style="cell")


def test_a_target_is_checked_before_there_is_a_caption(tmp_path):
    check_target(tmp_path / "x.gif")
    with pytest.raises(UsageError, match="ends in"):
        check_target(tmp_path / "x.pdf")


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_without_matplotlib_the_pip_line_is_given(suffix, say, photo, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"A picture of attention needs .*\[explain\]"):
        explain(photo, say("dog"), tmp_path / f"x{suffix}")
    explain(photo, say("dog"), tmp_path / "x.html")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("text", ["", "dog", "$5_x^2$ собака naïve <b> " + "x" * 200], ids=len)
@pytest.mark.parametrize("size", [(1, 1), (4, 300), (300, 4)], ids=str)
def test_nothing_is_too_odd_to_draw(suffix, text, size, say, tmp_path):
    explain(Image.new("RGBA", size), say(text, sentinel=0.3), tmp_path / f"x{suffix}")


def test_attention_for_another_number_of_words_is_refused(say):
    caption = say("a dog")
    object.__setattr__(caption, "attention", np.ones((3, 4, 4)))
    with pytest.raises(UsageError, match=r"of 2 words .* not \(3, 4, 4\)"):
        looks(caption)


def test_a_word_knows_its_percent_and_its_memory(say):
    (word,) = words(say("dog", sentinel=0.25))
    assert (word.text, word.percent, word.memory) == ("dog", "50%", "25%")
    assert words(say("dog"))[0].memory == ""


def test_unlikely_is_not_impossible():
    assert [share(value) for value in (0.0, 1e-9, 0.994, 1.0)] == ["0%", "<1%", "99%", "100%"]


def test_every_refusal_is_an_error_of_cutline():
    assert issubclass(UsageError, CutlineError)
