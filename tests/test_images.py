"""Any picture comes out upright, in RGB and as bright as it went in."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from cutline.images import read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red, green, blue and white: every turn and every swapped channel shows."""
    small = Image.new("RGB", (2, 2))
    small.putdata([RED, GREEN, BLUE, WHITE])
    return small.resize(size, Image.Resampling.NEAREST)


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours near the four corners, by rows."""
    near, far_x, far_y = 3, image.width - 4, image.height - 4
    places = [(near, near), (far_x, near), (near, far_y), (far_x, far_y)]
    return [image.getpixel(place) for place in places]


def alike(image: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(image), np.asarray(other))


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# --- formats, sources, turns ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_every_allowed_format_gives_the_colours_that_were_saved(kind, tmp_path):
    path = tmp_path / f"picture.{kind.lower()}"
    quarters().save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    image = read_image(path)
    assert image.mode == "RGB"
    assert type(image) is Image.Image
    assert kind == "JPEG" or alike(image, quarters())
    assert np.allclose(corners(image), [RED, GREEN, BLUE, WHITE], atol=4)


def test_path_text_bytes_file_buffer_and_picture_are_the_same_picture(tmp_path):
    path = tmp_path / "picture.png"
    quarters().save(path)
    written = io.BytesIO()
    quarters().save(written, "PNG")  # stands at its end
    with path.open("rb") as file:
        sources = [path, str(path), path.read_bytes(), file, written, Image.open(path)]
        assert all(alike(read_image(source), quarters()) for source in sources)


def test_a_stream_that_cannot_seek_is_read():
    class Stream(io.RawIOBase):
        rest = file_of(quarters(), "PNG")

        def readable(self):
            return True

        def readinto(self, buffer):
            taken, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
            buffer[: len(taken)] = taken
            return len(taken)

    assert alike(read_image(Stream()), quarters())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_comes_out_upright(kind, orientation):
    stored = quarters().transpose(_inverse(orientation)) if orientation > 1 else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(file_of(stored, kind, exif=exif))
    assert image.size == (64, 48)
    assert np.allclose(corners(image), [RED, GREEN, BLUE, WHITE], atol=4)
    assert alike(image, ImageOps.exif_transpose(image)), "nobody may turn it a second time"


def _inverse(orientation: int) -> Image.Transpose:
    turns = Image.Transpose
    return {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }[orientation]


def test_broken_exif_does_not_break_the_picture():
    data = file_of(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert read_image(data).size == (64, 48)


def test_a_gif_gives_its_first_frame():
    data = file_of(quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert corners(read_image(data)) == [RED, GREEN, BLUE, WHITE]


def test_a_picture_of_one_pixel_is_a_picture():
    assert read_image(file_of(Image.new("RGB", (1, 1), RED), "PNG")).getpixel((0, 0)) == RED


# --- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours_though_adobe_jpegs_are_inverted(kind):
    image = read_image(file_of(quarters().convert("CMYK"), kind))
    assert np.allclose(corners(image), [RED, GREEN, BLUE, WHITE], atol=12)


def test_alpha_shows_white_and_half_alpha_half_white():
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(200, 0, 0, 255), (200, 0, 0, 0), (200, 0, 0, 128)])
    seen = read_image(file_of(rgba, "PNG"))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(200, 0, 0), WHITE]
    assert np.allclose(seen.getpixel((2, 0)), (227, 127, 127), atol=1)


def test_grey_with_alpha_shows_white():
    grey = Image.new("LA", (2, 1))
    grey.putdata([(90, 255), (90, 0)])
    seen = read_image(file_of(grey, "PNG"))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(90, 90, 90), WHITE]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(kind):
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.putdata([0, 1])
    seen = read_image(file_of(palette, kind, transparency=0))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [WHITE, RED]


def test_a_palette_with_alpha_for_every_entry_shows_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.putdata([0, 1])
    seen = read_image(file_of(palette, "PNG", transparency=bytes([0, 255])))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [WHITE, RED]


def test_a_transparent_colour_of_an_rgb_png_shows_white():
    assert corners(read_image(file_of(quarters(), "PNG", transparency=BLUE))) == [
        *(RED, GREEN),
        *(WHITE, WHITE),
    ]


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "HSV", "RGBX", "RGBa", "La", "PA"])
def test_any_other_mode_of_a_grey_ramp_keeps_its_ends(mode):
    ramp = Image.fromarray(np.array([[0, 255]] * 2, dtype=np.uint8))
    through = {"RGBa": "RGBA", "La": "LA", "PA": "P"}.get(mode, "RGB")
    source = ramp.convert(through).convert(mode)
    assert np.allclose(np.asarray(read_image(source))[0, :, 0], [0, 255], atol=1)


def test_lab_is_turned_into_rgb():
    lab = Image.new("LAB", (2, 2), (255, 128, 128))
    assert np.allclose(read_image(file_of(lab, "TIFF")), 255, atol=2)


RAMP = np.array([[0, 257, 32896, 65535]] * 2)
RAMP_8 = [0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    data = file_of(Image.fromarray(RAMP.astype(np.uint16)), kind)
    assert np.asarray(read_image(data))[0, :, 1].tolist() == RAMP_8


def test_a_dark_16_bit_picture_stays_dark():
    dark = Image.fromarray(np.full((2, 2), 514, dtype=np.uint16))
    assert np.asarray(read_image(file_of(dark, "PNG"))).max() == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP.astype(np.int32), RAMP_8),
        (np.array([[0, 1, 128, 255]], dtype=np.int32), RAMP_8),  # 8 bits in a wider mode
        (np.array([[-(2**31), 0, 2**31 - 1]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1.0]], dtype=np.float32), [0, 128, 255]),
        (np.array([[0.0, 128, 255]], dtype=np.float32), [0, 128, 255]),
        (RAMP.astype(np.float32), RAMP_8),
        (np.array([[-1.0, 0.0, 1.0]], dtype=np.float32), [0, 128, 255]),
        (np.array([[np.nan, 1.0]], dtype=np.float32), [0, 255]),
        (np.array([[-7.0, -7.0]], dtype=np.float32), [0, 0]),
    ],
)
def test_wide_integers_and_floats_are_scaled_by_what_holds_them(values, expected):
    seen = np.asarray(read_image(file_of(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert np.allclose(seen, expected, atol=1)


# --- large ones ----------------------------------------------------------------------------------


def test_a_large_jpeg_is_decoded_smaller_but_never_below_what_is_needed():
    photograph = file_of(quarters((1600, 1200)), "JPEG")
    assert read_image(photograph).size == (1600, 1200)
    assert read_image(photograph, shrink_to=150).size == (400, 300)
    assert min(read_image(photograph, shrink_to=900).size) == 1200
    assert read_image(file_of(quarters(), "JPEG"), shrink_to=224).size == (64, 48)


def test_a_shrunk_jpeg_looks_like_the_whole_one_made_small(shared):
    path = next(iter(sorted((shared / "flickr8k" / "images_original_aspect").iterdir())))
    big = file_of(Image.open(path).resize((2048, 1536), Image.Resampling.LANCZOS), "JPEG")
    whole, shrunk = (read_image(big, shrink_to=to).resize((224, 224)) for to in (None, 224))
    assert np.abs(np.asarray(whole).astype(int) - np.asarray(shrunk)).mean() < 1


def test_a_shrunk_jpeg_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = quarters((1600, 1200)).transpose(Image.Transpose.ROTATE_90)
    image = read_image(file_of(stored, "JPEG", exif=exif), shrink_to=100)
    assert image.size == (400, 300)
    assert np.allclose(corners(image), [RED, GREEN, BLUE, WHITE], atol=4)


def test_a_picture_that_was_given_open_is_left_as_it_was():
    given = Image.open(io.BytesIO(file_of(quarters((1600, 1200)), "JPEG")))
    read_image(given, shrink_to=10)
    assert given.size == (1600, 1200)
