"""Repair of damaged pictures that lack little, as viewers do it.

A JPEG's missing end is written in, once as it should be and once after noise: what the noise
changes was missing. Other pictures are decoded onto black and onto grey: what differs was missing.
No setting of Pillow's is touched; `LOAD_TRUNCATED_IMAGES` is one for all threads.
"""

import io
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.images.kinds import formats

__all__ = ["lacks_too_much", "onto_grey", "whole_jpeg", "whole_webp"]

_END = b"\xff\xd9"
_NOISE = bytes((at * at * 7 + at * 97 + 31) % 251 for at in range(1 << 14))
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_START_OF_SCAN = 0xDA
_COEFFICIENTS = frozenset(range(64))


def lacks_too_much(missing: float, whole: float) -> bool:
    """Tell whether a tenth or more is missing."""
    return 10 * missing >= whole


def whole_jpeg(stream: BinaryIO) -> BinaryIO | None:
    """Return a JPEG with its end put back; None where too much is missing."""
    stream.seek(0)
    data = stream.read().rstrip(b"\xff")  # half an end, perhaps
    scans = _scans(data)
    if scans is None:
        return None
    ended = io.BytesIO(data + _END)
    with_end, with_noise = (
        _small_jpeg(padded) for padded in (ended, io.BytesIO(data + _NOISE + _END))
    )
    if with_end is None or with_noise is None:
        return None
    missing = _share_after_first_difference(with_end, with_noise)
    first, last = scans  # of a progressive JPEG's many scans only the last is not whole
    lost = (len(data) - last) * missing / max(1 - missing, 1e-6)
    return None if lacks_too_much(lost, len(data) - first + lost) else ended


def _share_after_first_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    differs: NDArray[np.bool_] = (one != other).reshape(*one.shape[:2], -1).any(axis=2)
    rows = np.flatnonzero(differs.any(axis=1))
    if not len(rows):
        return 0.0
    block = differs[rows[0] : rows[0] + 8]  # pixels come in blocks of 16, here of half their size
    before = int(np.flatnonzero(block.any(axis=0))[0])
    height, width = (int(side) for side in differs.shape)
    return ((height - int(rows[0])) * width - len(block) * before) / differs.size


def _small_jpeg(stream: BinaryIO) -> NDArray[np.uint8] | None:
    try:
        with Image.open(stream, formats=["JPEG"]) as image:
            image.draft(None, (image.width // 2, image.height // 2))
            return np.array(image)
    except Exception:
        return None


def _scans(data: bytes) -> tuple[int, int] | None:
    """Return where the first and the last scan begin; None where some have not begun.

    A progressive JPEG has several, each of which refines some coefficients of some components.
    """
    done: dict[int, set[int]] = {}
    components = first = last = 0
    at = 2
    while found := _MARKER.search(data, at):
        kind, at = data[found.start() + 1], found.end()
        if at + 2 > len(data) or kind == _END[1]:
            break
        length = struct.unpack_from(">H", data, at)[0]
        part = data[at + 2 : at + length]
        if 0xC0 <= kind <= 0xC2 and len(part) > 5:
            components = part[5]
        elif kind == _START_OF_SCAN and part and len(part) >= 2 * part[0] + 4:
            first, last = first or at, at
            start, end, precision = part[2 * part[0] + 1 : 2 * part[0] + 4]
            if precision & 15 == 0:
                for component in part[1 : 1 + 2 * part[0] : 2]:
                    done.setdefault(component, set()).update(range(start, end + 1))
        at += length
    whole = sum(seen >= _COEFFICIENTS for seen in done.values())
    return (first, last) if whole >= components > 0 else None


def whole_webp(stream: BinaryIO) -> BinaryIO | None:
    """Return a WebP with zeros for what is missing of it; None where that is too much."""
    stream.seek(0)
    data = stream.read()
    whole = 8 + struct.unpack_from("<I", data, 4)[0] if len(data) > 8 else 0
    if not len(data) < whole or lacks_too_much(whole - len(data), whole):
        return None
    return io.BytesIO(data + b"\0" * (whole - len(data)))


def onto_grey(
    stream: BinaryIO, check: Callable[[Image.Image], None]
) -> tuple[Image.Image, Image.Image] | None:
    """Decode as much as there is; grey is where nothing is. None where too much is missing.

    Returns the file as opened, for its metadata, and the pixels.
    """
    missing = 0
    opened = [_onto(stream, shade, check) for shade in (0, 128)]
    (_, black, box), (image, grey, _) = opened
    for top in range(box[1], box[3], 64):
        part = (box[0], top, box[2], min(top + 64, box[3]))
        one, other = (np.asarray(of.crop(part)) for of in (black, grey))
        differs = one != other
        missing += int((differs.any(axis=2) if differs.ndim == 3 else differs).sum())
    if lacks_too_much(missing, (box[2] - box[0]) * (box[3] - box[1])):
        return None
    return image, grey


def _onto(
    stream: BinaryIO, shade: int, check: Callable[[Image.Image], None]
) -> tuple[Image.Image, Image.Image, tuple[int, int, int, int]]:
    stream.seek(0)
    image = Image.open(stream, formats=formats())
    check(image)
    box = image.tile[0].extents or (0, 0, *image.size)
    if hasattr(image, "_frame_transparency"):
        image._frame_transparency = None  # a GIF would paint over the shade
    size = getattr(image, "_tile_size", image.size)
    bands = len(Image.new(image.mode, (1, 1)).getbands())
    image.im = Image.new(image.mode, size, shade if bands == 1 else (shade,) * bands).im
    try:
        image.load()
    except MemoryError:
        raise
    except Exception:
        image.tile = []
    return image, image._new(image.im), box
