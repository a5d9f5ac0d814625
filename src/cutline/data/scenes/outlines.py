"""The shapes as polygons, and how much of each pixel a polygon covers."""

from math import ceil, cos, floor, pi, radians, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cutline.data.scenes.words import SHAPES

__all__ = ["coverage", "outline", "stamp"]

Points = NDArray[np.float64]

# Polygons are filled on a grid this many times finer than the pixels, then averaged.
_FINER = 4


def _circle() -> Points:
    angles = np.linspace(0, 2 * pi, 60, endpoint=False)
    return 0.95 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _square() -> Points:
    return 0.82 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float)


def _triangle() -> Points:
    return np.array([(0, -1.02), (1.04, 0.82), (-1.04, 0.82)])


def _star() -> Points:
    angles = -pi / 2 + np.arange(10) * pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 1.12, 0.48)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _cross() -> Points:
    long, wide = 0.98, 0.33
    arm = np.array([(-wide, -wide), (-wide, -long), (wide, -long)])
    turns = [np.array([[cos(a), -sin(a)], [sin(a), cos(a)]]) for a in np.arange(4) * pi / 2]
    return np.concatenate([arm @ turn.T for turn in turns])


def _heart() -> Points:
    t = np.linspace(0, 2 * pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -13 * np.cos(t) + 5 * np.cos(2 * t) + 2 * np.cos(3 * t) + np.cos(4 * t)
    return np.stack([x, y], axis=1) / 15.5


def _centred(points: Points) -> Points:
    """Move a polygon's centre of gravity to (0, 0), so that a thing is where its mass is."""
    following = np.roll(points, -1, axis=0)
    crossed = points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]
    centre = ((points + following) * crossed[:, None]).sum(axis=0) / (3 * crossed.sum())
    centred: Points = points - centre
    return centred


# One polygon for each shape, of about unit radius; y points down.
_DRAWN = (_circle(), _square(), _triangle(), _star(), _cross(), _heart())
_UNIT = {shape: _centred(points) for shape, points in zip(SHAPES, _DRAWN, strict=True)}


def outline(shape: str, x: float, y: float, radius: float, tilt: float) -> Points:
    """Return the corners of a shape, (corners, 2), in picture sides."""
    turn = radians(tilt)
    matrix = np.array([[cos(turn), sin(turn)], [-sin(turn), cos(turn)]]) * radius
    corners: Points = _UNIT[shape] @ matrix + (x, y)
    return corners


def stamp(
    corners: Points, side: int, rim: float
) -> tuple[Image.Image, Image.Image, tuple[int, int]]:
    """Rasterise a polygon: coverage of the whole, coverage without its rim, left-top pixel.

    Both are grey images (0..255) of the polygon's own box, which may stick out of the picture.
    `rim` is the width of the border that the second one leaves out, in picture sides.
    """
    pixels = corners * side
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    left, top = floor(left) - 1, floor(top) - 1
    size = ((ceil(right) + 1 - left) * _FINER, (ceil(bottom) + 1 - top) * _FINER)
    path = ((pixels - (left, top)) * _FINER).ravel().tolist()
    body = Image.new("L", size)
    ImageDraw.Draw(body).polygon(path, fill=255)
    inside = body.copy()
    width = max(round(2 * rim * side * _FINER), 1)
    ImageDraw.Draw(inside).line([*path, *path[:4]], fill=0, width=width)
    return body.reduce(_FINER), inside.reduce(_FINER), (left, top)


def coverage(shape: str, x: float, y: float, radius: float, tilt: float, side: int) -> Image.Image:
    """Return how much of each pixel of the picture a shape covers, as a grey image (0..255)."""
    body, _, corner = stamp(outline(shape, x, y, radius, tilt), side, 0.0)
    picture = Image.new("L", (side, side))
    picture.paste(body, corner)
    return picture
