"""Large pictures are made small strip by strip; what cannot be is refused before it is decoded."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cutline.errors import ImageError
from cutline.images import memory, read_image, strips
from support.pictures import SMOOTH, chunk, file_of, with_chunk
from test_images_mended import interlaced

WIDE = SMOOTH.resize((400, 300))
ALPHA = WIDE.copy()
ALPHA.putalpha(Image.linear_gradient("L").resize((400, 300)))
GREY_16 = Image.fromarray(np.asarray(WIDE)[..., 1].astype(np.uint16) * 257)

# a name, the picture, and how it is saved
LARGE = {
    "png": (WIDE, "PNG", {}),
    "png rgba": (ALPHA, "PNG", {}),
    "png la": (ALPHA.convert("LA"), "PNG", {}),
    "png palette": (WIDE.quantize(200), "PNG", {}),
    "png 4 colours": (WIDE.quantize(4), "PNG", {"bits": 2}),
    "png transparent colour": (WIDE.quantize(9), "PNG", {"transparency": 0}),
    "png 1 bit": (WIDE.convert("1"), "PNG", {}),
    "png 16 bits": (GREY_16, "PNG", {}),
    "bmp": (WIDE, "BMP", {}),
    "bmp palette": (WIDE.quantize(30), "BMP", {}),
    "tiff": (WIDE, "TIFF", {}),
    "tiff 1 bit": (WIDE.convert("1"), "TIFF", {}),
    "tiff rgba": (ALPHA, "TIFF", {}),
    "tiff cmyk": (WIDE.convert("CMYK"), "TIFF", {}),
    "tiff float": (Image.fromarray(np.asarray(WIDE)[..., 0] / np.float32(255)), "TIFF", {}),
    "lzw": (WIDE, "TIFF", {"compression": "tiff_lzw", "strip_size": 4000}),
    "lzw palette": (WIDE.quantize(9), "TIFF", {"compression": "tiff_lzw", "strip_size": 4000}),
    "lzw cmyk": (WIDE.convert("CMYK"), "TIFF", {"compression": "tiff_lzw", "strip_size": 4000}),
    "deflate 16 bits": (GREY_16, "TIFF", {"compression": "tiff_adobe_deflate", "strip_size": 2000}),
    "jpeg in tiff": (WIDE, "TIFF", {"compression": "jpeg", "strip_size": 20_000}),
    "gif": (WIDE.quantize(250), "GIF", {}),
    "webp": (WIDE, "WEBP", {}),
    "avif": (WIDE, "AVIF", {"speed": 10}),
    "jp2": (WIDE, "JPEG2000", {}),
    "jpeg": (WIDE, "JPEG", {"quality": 95}),
}


@pytest.fixture
def small_is_large(monkeypatch):
    """Treat pictures of more than 12,000 pixels as large, and strips of 3,000 as enough."""
    monkeypatch.setattr(strips, "_LARGE", 12_000)
    monkeypatch.setattr(strips, "_ENOUGH", 12_000)
    monkeypatch.setattr(strips, "_AT_ONCE", 3_000)


@pytest.mark.parametrize("name", LARGE)
def test_a_large_picture_looks_like_the_whole_one_made_small(name, monkeypatch):
    picture, kind, options = LARGE[name]
    data = file_of(picture, kind, **options)
    whole = read_image(data)
    monkeypatch.setattr(strips, "_LARGE", 12_000)
    monkeypatch.setattr(strips, "_ENOUGH", 12_000)
    monkeypatch.setattr(strips, "_AT_ONCE", 3_000)
    small = read_image(data, shrink_to=20)
    assert small.size in {(100, 75), (200, 150), (134, 100)}
    expected = np.asarray(whole.resize(small.size, Image.Resampling.BOX)).astype(int)
    within = 8 if name == "jp2" else 3  # whose halves are taken elsewhere, by less than a pixel
    assert np.abs(expected - np.asarray(small)).mean() < within


@pytest.mark.usefixtures("small_is_large")
def test_every_filter_of_a_png_is_undone_across_strips():
    rows = np.asarray(WIDE)[:, :, :1].repeat(8, axis=2)[:, :200]  # RGBA of 16 bits
    data = filtered_png(rows.reshape(300, -1), (200, 300), depth=16, colour=6)
    seen = read_image(data, shrink_to=20)
    assert seen.size == (67, 100)
    expected = read_image(data, shrink_to=80)  # whole: 60,000 pixels are fewer than (4 * 80) ** 2
    assert expected.size == (200, 300)
    assert np.abs(np.asarray(expected.reduce(3)).astype(int) - np.asarray(seen)).max() <= 2


def filtered_png(rows: np.ndarray, size: tuple[int, int], *, depth: int, colour: int) -> bytes:
    """A PNG each of whose rows has the next of the five filters, with any bytes as its rows."""
    import zlib

    body = b"".join(bytes((at % 5,)) + row.tobytes() for at, row in enumerate(rows))
    head = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + bytes((depth, colour, 0, 0, 0))
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.usefixtures("small_is_large")
def test_a_large_interlaced_png_is_read_from_its_last_pass():
    small = read_image(interlaced(WIDE), shrink_to=20)
    assert small.size == (100, 75)
    assert np.abs(np.asarray(small).astype(int) - np.asarray(WIDE.reduce(4))).mean() < 3


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_large_picture_cut_short_is_measured_as_any_other(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    whole = file_of(noise, kind)
    assert read_image(whole[: int(len(whole) * 0.95)], shrink_to=20).size == (100, 75)
    for cut, strict in ((0.8, False), (0.95, True)):
        with pytest.raises(ImageError, match="cut short"):
            read_image(whole[: int(len(whole) * cut)], shrink_to=20, strict=strict)


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_large_picture_is_upright(kind, late):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(WIDE, kind, exif=exif)
    if late and kind == "PNG":  # behind the pixels
        data = with_chunk(
            file_of(WIDE, "PNG"),
            chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),
            before=b"IEND",
        )
    turned = WIDE.transpose(Image.Transpose.ROTATE_270)
    small = read_image(data, shrink_to=20)
    assert small.size == (75, 100)
    assert np.abs(np.asarray(small).astype(int) - np.asarray(turned.reduce(4))).mean() < 2


@pytest.mark.usefixtures("small_is_large")
def test_no_data_is_not_mixed_into_its_neighbours():
    values = np.full((300, 400), 0.5, dtype=np.float32)
    values[:, ::2] = 0.4
    values[::7, ::5] = -9999
    seen = np.asarray(read_image(file_of(Image.fromarray(values), "TIFF"), shrink_to=20))
    assert set(np.unique(seen)) <= {0, 102, 128, 255}


def test_pictures_up_to_six_million_pixels_are_not_touched():
    picture = SMOOTH.resize((2449, 2449))
    assert read_image(file_of(picture, "BMP"), shrink_to=224).tobytes() == picture.tobytes()
    assert read_image(picture.resize((2450, 2450)), shrink_to=224).size == (1225, 1225)


def test_what_needs_too_much_memory_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(memory, "MAX_BYTES", 1)
    monkeypatch.setattr("cutline.images.reading.MAX_BYTES", 100_000)
    for kind, options in (("WEBP", {}), ("JPEG", {"progressive": True}), ("AVIF", {"speed": 10})):
        said = f"320 x 240 pixels, and as .*{kind} it takes . MB to open, more than"
        with pytest.raises(ImageError, match=said):
            read_image(file_of(SMOOTH, kind, **options))


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading")])
def test_not_enough_memory_is_not_damaged(monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    data = file_of(SMOOTH, "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load_prepare", fail)
    with pytest.raises(ImageError, match=r"not enough memory to read x\.png; give a smaller"):
        read_image(data, name="x.png")


MODES = ("RGB", "RGBA", "I;16", "F")
CHILD = """
import sys
from cutline.images import read_image

def used(what):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) // 1024

read_image(sys.argv[2], shrink_to=224)
before = used("VmRSS")
assert read_image(sys.argv[1], shrink_to=224).width < 3000
print(used("VmHWM") - before, used("VmRSS") - before)
"""


def megabytes(path, small) -> tuple[int, int]:
    """How much more memory a process takes at most for a picture, and keeps afterwards."""
    command = [sys.executable, "-c", CHILD, str(path), str(small)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    peak, kept = done.stdout.split()
    return int(peak), int(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("mode", "side"),
    [
        ("RGBA", 4_000),
        ("F", 4_000),
        *(
            pytest.param(mode, 13_300, marks=pytest.mark.slow)
            for mode in ("RGB", "RGBA", "I;16", "F")
        ),
    ],
)
def test_a_picture_of_any_legal_size_takes_little_memory(mode, side, tmp_path):
    path, small = tmp_path / ("a.tif" if mode == "F" else "a.png"), tmp_path / "b.png"
    SMOOTH.save(small)
    fill = 0.5 if mode == "F" else 1000 if mode == "I;16" else (90,) * len(mode)
    Image.new(mode, (side, side), fill).save(path)
    peak, kept = megabytes(path, small)
    assert peak < 100
    assert kept < 30
