"""Pointing accuracy: does attention fall on the thing that a word names; chance level."""

from collections.abc import Collection, Iterator
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from cutline.data.scenes.scene import Scene

__all__ = ["chance", "points_at"]

# Things are looked up in masks of this side, whatever size the picture was drawn at.
_SIDE = 64


def points_at(attention: NDArray[np.floating], things: Collection[int], scene: Scene) -> bool:
    """Say whether the peak of an attention grid (h, w) falls on one of these things.

    The peak is the first of the largest cells. A cell is a rectangle of the picture, and falls on
    a thing when at least one pixel of it shows the thing (in a picture of 64 x 64).
    """
    row, column = np.unravel_index(int(np.argmax(attention)), attention.shape)
    height, width = attention.shape
    return bool(_cells(things, scene, height, width)[row, column])


def chance(things: Collection[int], scene: Scene, height: int, width: int) -> float:
    """Return the share of cells of a (height, width) grid that fall on one of these things.

    It is how often `points_at` would say yes to attention that peaks anywhere.
    """
    return float(_cells(things, scene, height, width).mean())


def _cells(things: Collection[int], scene: Scene, height: int, width: int) -> NDArray[np.bool_]:
    """Return which cells of a grid show one of these things, (height, width)."""
    seen = np.zeros((_SIDE, _SIDE), dtype=bool)
    for thing in things:
        seen |= _masks(scene)[thing]
    return np.array(
        [[seen[rows, columns].any() for columns in _spans(width)] for rows in _spans(height)]
    )


@lru_cache(maxsize=1024)
def _masks(scene: Scene) -> NDArray[np.bool_]:
    """Return where each thing is seen; a caption asks about one scene for word after word."""
    return scene.masks(_SIDE)


def _spans(count: int) -> Iterator[slice]:
    """Cut the side into `count` cells; pixels on a boundary belong to both cells."""
    for index in range(count):
        yield slice(index * _SIDE // count, ceil((index + 1) * _SIDE / count))
