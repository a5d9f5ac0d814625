"""Strip-wise shrinking of large pictures, so that no second one of their size is needed."""

from collections.abc import Iterable, Iterator
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

from cutline.images.colour import flatten
from cutline.images.values import WIDE_MODES

__all__ = ["Strips", "factor_for", "large", "rows_at_once", "shrink", "strips_of"]

_LARGE = 6_000_000  # pixels; a picture of more is made small where a small one is asked for...
_LARGE_WHOLE = 32_000_000  # ...and one of more where none is
_ENOUGH = 2_000_000  # pixels that are left of a large one
_AT_ONCE = 1_500_000  # pixels of a strip


class Strips(NamedTuple):
    """A picture from top to bottom; each strip but the last has a multiple of `factor[1]` rows.

    `factor` says how often less wide and high the picture is to become.
    """

    strips: Iterable[Image.Image]
    size: tuple[int, int]
    factor: tuple[int, int]


def large(shrink_to: int | None) -> int:
    """Return how many pixels a picture may have that is left as it is."""
    return _LARGE_WHOLE if shrink_to is None else max(_LARGE, (4 * shrink_to) ** 2)


def factor_for(size: tuple[int, int], shrink_to: int | None) -> int:
    """Return the whole number by which a picture is shrunk; 1 for all but large ones."""
    pixels = size[0] * size[1]
    needed = ceil(sqrt(pixels / large(shrink_to)))
    if needed <= 1 or shrink_to is None:
        return needed
    enough = ceil(sqrt(pixels / max(_ENOUGH, (4 * shrink_to) ** 2)))
    return max(needed, min(enough, min(size) // (2 * shrink_to)))


def rows_at_once(width: int, multiple: int) -> int:
    """Return how many rows a strip has: about `_AT_ONCE` pixels, a multiple of `multiple`."""
    return max(1, _AT_ONCE // (width * multiple)) * multiple


def strips_of(image: Image.Image, factor: int) -> Strips:
    """Cut a picture that is in memory."""
    width, height = image.size
    rows = rows_at_once(width, factor)

    def cut() -> Iterator[Image.Image]:
        for top in range(0, height, rows):
            yield image.crop((0, top, width, min(top + rows, height)))

    strips = [image] if height <= rows else cut()
    return Strips(strips, image.size, (factor, factor))


def shrink(picture: Strips) -> Image.Image:
    """Flatten and shrink each strip, and put them together."""
    across, down = picture.factor
    size = (ceil(picture.size[0] / across), ceil(picture.size[1] / down))
    made: Image.Image | None = None
    top = 0
    for strip in picture.strips:
        small = _reduce(flatten(strip), across, down)
        if small.size == size:
            return small
        if made is None:
            made = Image.new(small.mode, size)
        made.paste(small, (0, top))
        top += small.height
    if made is None:
        raise OSError("it has no rows")
    return made


def _reduce(image: Image.Image, across: int, down: int) -> Image.Image:
    """Average the pixels of 8 bits; of wider ones take some: a mean with "no data" is neither."""
    if across == down == 1:
        return image
    if image.mode in WIDE_MODES:
        rows, columns = (
            np.minimum(np.arange(step // 2, length + step // 2, step), length - 1)
            for step, length in ((down, image.height), (across, image.width))
        )
        values = np.asarray(image)[np.ix_(rows, columns)]
        return Image.frombytes(image.mode, (len(columns), len(rows)), values.tobytes())
    return image.reduce((across, down))
