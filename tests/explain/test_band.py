"""A captioned picture is the whole photograph, and its captions below it in letters that exist."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from cutline.errors import UsageError
from cutline.explain import caption_figure, check_figure, figure_sheet, save_figure
from cutline.explain.band import _broken
from cutline.explain.fonts import font_for


def noise(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(640, 480), (320, 2000), (4000, 300)], ids=str)
def test_every_pixel_of_the_photograph_is_kept_and_none_is_covered(size):
    photo = noise(*size)
    figure = caption_figure(photo, "a dog runs along the beach")
    assert figure.width == photo.width
    assert np.array_equal(np.asarray(figure)[: photo.height], photo)
    band = np.asarray(figure.convert("L"))[photo.height :]
    assert band.max() > 240  # paper
    assert band.min() < 60  # ink


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (10, 900)], ids=str)
def test_a_narrow_picture_stands_in_the_middle_of_a_band_that_has_room(size):
    photo = Image.new("RGB", size, "red")
    figure = np.asarray(caption_figure(photo, "dog " * 20, ["a cat"]))
    assert figure.shape[1] == 320
    left = (320 - size[0]) // 2
    assert np.array_equal(figure[: size[1], left : left + size[0]], photo)


def test_letters_grow_with_the_picture():
    def band(side):
        return caption_figure(Image.new("RGB", (side, side)), "a dog").height - side

    assert band(3000) > 3 * band(700)


def test_each_reference_needs_room_and_the_empty_caption_says_so():
    photo = noise(400, 300)
    heights = [caption_figure(photo, "a dog", ["a cat"] * n).height for n in range(4)]
    assert heights == sorted(set(heights))
    empty, said = (np.asarray(caption_figure(photo, text)) for text in ("", "(no words)"))
    assert np.array_equal(empty, said)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcdefghij", min_size=1, max_size=60), max_size=12))
def test_broken_lines_hold_all_letters_in_order_and_none_is_too_wide(words):
    font = font_for("", 14)
    lines = _broken(" ".join(words), font, 120)
    assert "".join("".join(lines).split()) == "".join(words)
    assert all(font.getlength(line) <= 120 for line in lines)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_a_figure_is_written_as_its_suffix_says_and_never_over_another(suffix, tmp_path):
    path = tmp_path / "new" / f"x{suffix}"
    figure = caption_figure(noise(50, 40), "a dog")
    save_figure(figure, path)
    with Image.open(path) as written:
        assert written.format == ("PNG" if suffix == ".png" else "JPEG")
        assert written.size == figure.size
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        save_figure(figure, path)
    assert path.read_bytes() == before
    save_figure(caption_figure(noise(50, 40), "a cat"), path, overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize(("name", "given"), [("x.gif", "ends in .gif"), ("x", "has no suffix")])
def test_another_suffix_is_refused(name, given, tmp_path):
    with pytest.raises(UsageError, match=rf"{given}; a captioned picture ends in \.png, \.jpg"):
        check_figure(tmp_path / name)


# --- letters -------------------------------------------------------------------------------------


@pytest.fixture
def only_pillow(monkeypatch):
    """No font but Pillow's own, which has hardly more than English letters."""
    monkeypatch.setattr("cutline.explain.fonts._installed", lambda: ("",))


def test_letters_that_no_font_has_are_named(only_pillow):
    caption_figure(noise(50, 40), "a dog runs, it's fun!")
    with pytest.raises(UsageError, match="lacks a sign for щ; give a font that has it: --font"):
        caption_figure(noise(50, 40), "a щ")


def test_a_font_of_the_users_is_used_instead(only_pillow, tmp_path):
    from matplotlib import get_data_path

    file = f"{get_data_path()}/fonts/ttf/DejaVuSansMono.ttf"
    assert caption_figure(noise(50, 40), "собака", font=file).height > 40
    with pytest.raises(UsageError, match=r"The font .*DejaVuSansMono\.ttf lacks a sign for 狗;"):
        caption_figure(noise(50, 40), "狗", font=file)
    (tmp_path / "no.ttf").write_text("no")
    with pytest.raises(UsageError, match="is not a font that can be read"):
        caption_figure(noise(50, 40), "dog", font=tmp_path / "no.ttf")


def test_without_matplotlib_pillows_own_letters_are_there(only_pillow):
    assert isinstance(font_for("dog", 20), ImageFont.FreeTypeFont)


# --- a sheet -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (3, 2, 2), (5, 3, 2), (17, 4, 5)]
)
def test_a_sheet_has_rows_of_at_most_four(count, columns, rows):
    sheet = figure_sheet([(Image.new("RGB", (400, 300), "red"), "a dog", ["a cat"])] * count)
    red = np.all(np.asarray(sheet) == (255, 0, 0), axis=-1)
    assert red.sum() == count * 400 * 300
    assert sheet.width == columns * 424 + 24
    assert (np.diff(red.any(axis=1).astype(int)) == 1).sum() == rows


@pytest.mark.parametrize("count", [0, 61])
def test_a_sheet_of_none_or_too_many_is_refused(count):
    with pytest.raises(UsageError, match=f"holds 1 to 60 pictures, not {count}; give a folder"):
        figure_sheet([(Image.new("RGB", (4, 3)), "a dog", [])] * count)
