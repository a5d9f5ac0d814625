"""Data augmentation: random crop, mirror image, brightness, contrast and saturation.

Shapes: `S` side in pixels.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from cutline.data.cache import Bytes

__all__ = ["Augment", "sided"]

_SIDES = re.compile(r"\b(left|right)", re.IGNORECASE)
_LIGHT = np.array([0.299, 0.587, 0.114])  # what red, green and blue add to the brightness
_ASPECT = 4 / 3  # of a part: at most, and its inverse at least

Dice = np.random.Generator


def sided(captions: Sequence[str]) -> bool:
    """Say whether any caption tells left from right, so that it is untrue of the mirror image."""
    return any(_SIDES.search(caption) for caption in captions)


class Augment:
    """Changes a square picture (S, S, 3) by chance, into one that the same captions describe.

    Args:
        crop: the smallest part that is cut out and enlarged, as a share of the area; 1 is none.
        flip: how likely the picture is mirrored.
        colour: how far brightness, contrast and saturation go from 1, each.
    """

    def __init__(self, *, crop: float, flip: float, colour: float) -> None:
        self.crop = crop
        self.flip = flip
        self.colour = colour

    def __call__(self, square: Bytes, dice: Dice, *, mirror: bool = True) -> Bytes:
        """Return another view of `square`; `mirror` allows its mirror image."""
        picture = Image.fromarray(square)
        if self.crop < 1:
            box = self._part(picture.width, dice)
            picture = picture.resize(picture.size, Image.Resampling.BICUBIC, box)
        if dice.random() < self.flip and mirror:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.colour:
            picture = self._relight(picture, dice)
        return np.array(picture)

    def _part(self, side: int, dice: Dice) -> tuple[float, float, float, float]:
        area = dice.uniform(self.crop, 1.0)
        bend = math.sqrt(_ASPECT ** dice.uniform(-1.0, 1.0))
        width, height = (min(1.0, math.sqrt(area) * each) for each in (bend, 1 / bend))
        left, top = dice.uniform(0, 1 - width), dice.uniform(0, 1 - height)
        return (side * left, side * top, side * (left + width), side * (top + height))

    def _relight(self, picture: Image.Image, dice: Dice) -> Image.Image:
        """Do all three at once: each is linear in red, green and blue."""
        brightness, contrast, saturation = dice.uniform(1 - self.colour, 1 + self.colour, 3)
        mean = float(np.asarray(picture.convert("L").resize((1, 1), Image.Resampling.BOX))[0, 0])
        mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LIGHT, (3, 1))
        lift = (1 - contrast) * mean * brightness
        matrix = np.column_stack([brightness * contrast * mix, np.full(3, lift)])
        return picture.convert("RGB", tuple(matrix.ravel().tolist()))
