"""Value scaling: grey of more than 8 bits, and floats, become bytes.

A file of 16 bits may hold 8, 10, 12 or 14, and one pixel of a float picture may mean "no data".
So the range is that of nearly all values: of all where no few of them lie far outside.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["WIDE_MODES", "to_bytes"]

WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")

_NODATA_TAG = 42113  # GDAL's, in TIFF: the value as text
_NODATA = (-9999.0, -99999.0, -32768.0, -32767.0, -999.0)  # what people write who have no such tag
_ABSURD = 1e15  # floats beyond are nodata by another name: 1e38, -3.4e38, 9.97e36, 1e20
_DEPTHS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # what 8, 10, 12, 14 and 16 bits hold
_SAMPLE = 1_000_000  # values that are looked at to find the range


def to_bytes(image: Image.Image) -> Image.Image:
    """Return a picture of mode I, I;16 or F as one of mode L; what is no number is black."""
    values: NDArray[Any] = np.asarray(image).astype(np.float64 if image.mode == "I" else np.float32)
    known = np.isfinite(values) & (np.abs(values) < _ABSURD)
    nodata = _nodata_of(image)
    if nodata is not None:
        known &= values != values.dtype.type(nodata)
    if not known.any():
        return Image.new("L", image.size)
    start, top = _scale(*_range(values[known]), image.mode)
    values[~known] = start
    values -= start
    values *= 255.0 / top
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def _scale(low: float, high: float, mode: str) -> tuple[float, float]:
    """Return what becomes black, and how far above it white lies."""
    tops = (1.0, *_DEPTHS) if mode == "F" else _DEPTHS
    top = next((top for top in tops if high <= top), None)
    if low == high and low >= 0 and top is not None:  # nobody can tell what range it is from
        return 0.0, 65535.0 if mode.startswith("I;16") else top
    if low < 0 or top is None or (mode == "F" and high > _DEPTHS[0]):  # heights, temperatures
        return low, high - low or 1.0
    return 0.0, high if high < top / 4 else top


def _range(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the least and largest value, but for few that lie far outside all others."""
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = _inner(np.sort(values[:: max(1, len(values) // _SAMPLE)]))
    spread = inner_high - inner_low
    if spread > 0:
        low = inner_low if inner_low - low > _far(low, spread) else low
        high = inner_high if high - inner_high > _far(high, spread) else high
    return low, high


def _far(value: float, spread: float) -> float:
    return spread if value in _NODATA else 3 * spread


def _inner(ordered: NDArray[np.floating]) -> tuple[float, float]:
    """Return the range of all but one in a thousand at either end, and but for a lone extreme.

    A lone extreme is one value, of however many pixels, that lies ten times as far from the next
    as all others lie from each other: the sea of a map of heights.
    """
    skip = len(ordered) // 1000
    low, high = float(ordered[skip]), float(ordered[-1 - skip])
    distinct = np.unique(ordered)
    if len(distinct) > 3:
        least, second, last, most = (float(distinct[at]) for at in (0, 1, -2, -1))
        if low == least and second - least > (1 if least in _NODATA else 10) * (high - second):
            low = second
        if high == most and most - last > 10 * (last - max(low, second)):
            high = last
    return low, high


def _nodata_of(image: Image.Image) -> float | None:
    tags = getattr(image, "tag_v2", {})
    try:
        return float(str(tags[_NODATA_TAG]).strip("\0 "))
    except (KeyError, ValueError, TypeError):
        return None
