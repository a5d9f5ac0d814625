"""Whatever bytes are given: a picture or one sentence, soon, in silence, no setting changed."""

import os
import struct
import tempfile
import time
import warnings
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from cutline.errors import ImageError
from cutline.images import read_image
from support.pictures import FORMATS, SMOOTH, file_of, made_of

SMALL = {name: made_of(SMOOTH.resize((64, 48)), name) for name in FORMATS}
SECONDS = 5.0


def settings() -> tuple[object, ...]:
    return (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        ImageFile.MAXBLOCK,
        PngImagePlugin.MAX_TEXT_CHUNK,
        list(warnings.filters),
    )


def broken(whole: bytes, random: np.random.Generator) -> bytes:
    """Cut, flip, swap, repeat or lengthen a part."""
    data = bytearray(whole)
    at, length = int(random.integers(len(data))), int(random.integers(1, 40))
    match int(random.integers(6)):
        case 0:
            del data[at:]
        case 1:
            data[at] ^= 1 << int(random.integers(8))
        case 2:
            data[at : at + length] = random.bytes(length)
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[at : at + length] * int(random.integers(1, 50))
        case _:
            data[at : at + 4] = struct.pack(">I", int(random.integers(2**32)))
    return bytes(data)


def try_all(times: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for number in range(times):
        name = list(SMALL)[number % len(SMALL)]
        data = broken(SMALL[name], random)
        started = time.perf_counter()
        with suppress(ImageError):
            image = read_image(
                data,
                shrink_to=(None, 16)[number // 7 % 2],
                strict=number % 5 == 0,
                max_pixels=10**7,
            )
            assert image.mode == "RGB"
        assert time.perf_counter() - started < SECONDS, f"{name} {number} of seed {seed}"


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_broken_pictures_end_in_a_picture_or_a_sentence_and_change_nothing(seed):
    before = settings()
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        during = settings()
        try_all(240 if seed == 0 else 5_000, seed)
        assert settings() == during
    assert settings() == before
    assert not leaked


def test_the_libraries_write_nothing_to_standard_error():
    random = np.random.default_rng(2)
    fax = file_of(SMOOTH.convert("1"), "TIFF", compression="group4")
    packed = ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"]
    pictures = [fax, *(file_of(SMOOTH, "TIFF", compression=kind) for kind in packed)]
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            for number in range(100):
                data = bytearray(pictures[number % len(pictures)])
                data[8 + int(random.integers(len(data) - 8))] ^= 255
                with suppress(ImageError):
                    read_image(bytes(data))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        assert file.read() == b""
