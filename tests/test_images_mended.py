"""What viewers open is opened; what lacks a tenth is a named fault; `strict` refuses the rest."""

import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from cutline.errors import ImageError
from cutline.images import read_image
from support.pictures import FORMATS, SMOOTH, chunk, file_of, made, made_of, rgb_profile, with_chunk

LONG = bytes(range(32, 127)) * 20_000  # 1.9 MB
CUTTABLE = [name for name in FORMATS if name not in ("lzw", "jp2", "avif")]  # no end, no picture


def apart(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).mean())


# --- PNG -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_png_with_much_text_is_a_picture(kind, place):
    between = b"\0\0" if kind == b"zTXt" else b"\0\1\0\0\0"
    text = chunk(kind, b"prompt" + between + zlib.compress(LONG))
    data = with_chunk(made("png"), text, before=place)
    assert read_image(data, strict=True).tobytes() == SMOOTH.tobytes()


def test_a_png_with_a_large_profile_is_a_picture_in_its_colours():
    profile = rgb_profile("Adobe RGB")
    profile = profile + b"\0" * (3 * 2**20)
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    red = file_of(Image.new("RGB", (16, 16), (219, 0, 0)), "PNG")
    large = chunk(b"iCCP", b"Adobe\0\0" + zlib.compress(profile))
    assert np.allclose(read_image(with_chunk(red, large)).getpixel((3, 3)), (255, 0, 0), atol=2)


@pytest.mark.parametrize("kind", [b"tEXt", b"pHYs", b"gAMA", b"iCCP", b"eXIf", b"vpAg", b"tIME"])
def test_a_wrong_checksum_of_what_no_viewer_needs_is_passed_over(kind):
    data = with_chunk(made("png"), chunk(kind, b"Author\0me, and me again....", whole=False))
    assert read_image(data, strict=True).tobytes() == SMOOTH.tobytes()


def test_a_png_that_is_mended_keeps_its_orientation_and_transparency():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(SMOOTH, "PNG", exif=exif, transparency=SMOOTH.getpixel((0, 0)))
    mended = read_image(with_chunk(data, chunk(b"tEXt", b"a\0b", whole=False)))
    assert mended.size == (240, 320)
    assert mended.tobytes() == read_image(data).tobytes()


def test_a_wrong_checksum_of_what_matters_is_a_fault():
    broken = bytearray(made("png"))
    broken[29] ^= 1  # of IHDR
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_image(bytes(broken))


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CUTTABLE)
@pytest.mark.parametrize("missing", [1, 2, 7])
def test_a_picture_that_lacks_its_last_bytes_is_a_picture(name, missing):
    whole = made(name)
    assert apart(read_image(whole[:-missing]), read_image(whole)) < 2


@pytest.mark.parametrize("name", CUTTABLE)
def test_strict_refuses_a_picture_that_lacks_its_last_bytes(name):
    assert read_image(made(name), strict=True).size == SMOOTH.size
    with pytest.raises(ImageError, match="cut short"):
        read_image(made(name)[:-2], strict=True)


@pytest.mark.parametrize("name", CUTTABLE)
@pytest.mark.parametrize(("share", "opens"), [(0.95, True), (0.85, False), (0.5, False)])
def test_a_tenth_is_where_a_picture_becomes_a_fault(name, share, opens):
    whole = made(name)
    cut = whole[: int(len(whole) * share)]
    if opens:
        assert apart(read_image(cut), read_image(whole)) < 8
    else:
        with pytest.raises(ImageError, match="damaged or cut short"):
            read_image(cut)


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("name", [name for name in CUTTABLE if name != "lossless"])  # codes break
def test_a_plain_bottom_is_not_a_missing_one_nor_the_other_way_round(name, shade):
    picture = SMOOTH.copy()
    picture.paste((shade,) * 3, (0, 120, 320, 240))
    whole = made_of(picture, name)
    assert apart(read_image(whole[:-2]), read_image(whole)) < 2
    with pytest.raises(ImageError):
        read_image(whole[: len(whole) // 2])


def test_a_gif_with_a_transparent_colour_does_not_hide_what_is_missing():
    whole = file_of(SMOOTH.convert("P"), "GIF", transparency=3)
    assert read_image(whole[:-2]).tobytes() == read_image(whole).tobytes()
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_image(whole[: len(whole) // 2])


def test_an_interlaced_png_is_measured_by_its_pixels():
    whole = interlaced(SMOOTH)
    assert apart(read_image(whole[: int(len(whole) * 0.96)]), SMOOTH) < 8
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_image(whole[: int(len(whole) * 0.8)])


def interlaced(image: Image.Image) -> bytes:
    """A PNG as Adam M. Costello would have it sent, which Pillow reads but does not write."""
    pixels = np.asarray(image)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    starts += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes() for y, x, down, right in starts for row in pixels[y::down, x::right]
    )
    size = image.width.to_bytes(4, "big") + image.height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + bytes((8, 2, 0, 0, 1)))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", FORMATS)
def test_what_follows_a_picture_does_not_matter(name):
    whole = made(name)
    assert read_image(whole + b"garbage " * 200).tobytes() == read_image(whole).tobytes()


def test_pillows_settings_are_what_they_were():
    before = (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
    for name in CUTTABLE:
        read_image(made(name)[:-2])
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
