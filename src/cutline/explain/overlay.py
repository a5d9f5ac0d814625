"""Attention overlays: upsampled attention as light on the photograph.

What it looked at keeps its colours; the rest fades to a dim grey, after the figures of Show,
Attend and Tell (Xu et al., 2015). A colour map would repaint the photograph, and colours are
half of what captions speak of. A thin line at half the light shows the focus where a dark or an
even part of a photograph would hide it.

Two styles: smooth, upsampled with a Gaussian, and by cell, nearest-neighbour with the grid drawn.

Shapes: `h x w` the attention grid, `H x W` the picture.
"""

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.explain.explainable import Area, Array

__all__ = [
    "DIM",
    "LINE",
    "Style",
    "highlight",
    "lines",
    "outline",
    "resized",
    "spotlight",
    "spread",
]

# Width of the light of one cell, in cells. Narrower shows the grid; wider moves peaks.
_SIGMA = 0.6
# What is left of a picture's brightness where nobody looked: enough to know the place by.
DIM = 0.36
LINE = (255, 214, 102)
_GREY = (0.299, 0.587, 0.114)
_GRID = 0.35  # ink of the lines between cells


class Style(StrEnum):
    """Upsampling of attention: smooth (Gaussian), or cells (nearest neighbour, with the grid)."""

    SMOOTH = "smooth"
    CELLS = "cells"


def spread(
    attention: Array, area: Area, size: tuple[int, int], style: Style = Style.SMOOTH
) -> Array:
    """Upsample one word's attention (h, w) to a picture of size (W, H): (H, W) from 0 to 1.

    Smooth: a pixel takes the mean of the cells around it, each weighted by a Gaussian of its
    distance to the cell's middle. Such weights overshoot nowhere and keep even attention even.
    Cells: it takes the cell that it lies in. Pixels outside `area`, which the captioner never
    saw, are 0.

    For display the brightest place of the grid is set to 1 and the floor is 0, for each word
    alone: how bright two words are says nothing of which was looked for harder. That place may
    lie in the padding around a picture, and then all of the picture is dim.
    """
    (width, height), (left, top, right, bottom) = size, area
    grid = np.maximum(attention, 0.0)
    weights = _weights if style is Style.SMOOTH else _nearest
    rows = weights(height, grid.shape[0], top, bottom)
    columns = weights(width, grid.shape[1], left, right)
    light = _mix(rows, grid, columns)
    cells = _at_the_cells(grid) if style is Style.SMOOTH else grid
    peak = max(light.max(), cells.max())
    return light / peak if peak > 0 else light


def _at_the_cells(grid: Array) -> Array:
    """Return the upsampled attention at the middles of its own cells, (h, w)."""
    rows, columns = (_weights(cells, cells, 0.0, 1.0) for cells in grid.shape)
    return _mix(rows, grid, columns)


def _mix(rows: Array, grid: Array, columns: Array) -> Array:
    """Return rows @ grid @ columns.T. So small a product is slowed by the threads of `@`."""
    light: Array = np.einsum("yj,xj->yx", np.einsum("yi,ij->yj", rows, grid), columns)
    return light


def _weights(pixels: int, cells: int, start: float, end: float) -> Array:
    """Return how much each of the cells between two shares of a side lights each pixel.

    (pixels, cells); a row sums to 1, or to 0 where its pixel lies outside.
    """
    place = _places(pixels, cells, start, end)
    distance = place[:, None] - (np.arange(cells) + 0.5)
    weights = np.exp(-0.5 * (distance / _SIGMA) ** 2)
    inside = (place >= 0) & (place <= cells)
    weights[~inside] = 0.0
    total = weights.sum(axis=1, keepdims=True)
    shares: Array = np.divide(weights, total, out=weights, where=total > 0)
    return shares


def _nearest(pixels: int, cells: int, start: float, end: float) -> Array:
    """Return 1 for the cell that each pixel lies in, (pixels, cells); a row of 0 outside."""
    cell = np.floor(_places(pixels, cells, start, end))
    shares: Array = (cell[:, None] == np.arange(cells)).astype(np.float64)
    return shares


def _places(pixels: int, cells: int, start: float, end: float) -> Array:
    """Return where the middle of each pixel lies, counted in cells from the first cell's edge."""
    places: Array = ((np.arange(pixels) + 0.5) / pixels - start) / (end - start) * cells
    return places


def lines(light: Array, cells: tuple[int, int], area: Area, style: Style = Style.SMOOTH) -> Array:
    """Return how strongly each pixel is inked: (H, W) from 0 to 1.

    The line stands where the light (H, W) is one half; by cell, it follows the edges of the cells
    (`cells` is (h, w)), and all other edges are drawn faintly.
    """
    if style is Style.SMOOTH:
        return outline(light)
    (height, width), (left, top, right, bottom) = light.shape, area
    rows = np.floor(_places(height, cells[0], top, bottom)).clip(-1, cells[0])
    columns = np.floor(_places(width, cells[1], left, right)).clip(-1, cells[1])
    seen = np.ix_((rows >= 0) & (rows < cells[0]), (columns >= 0) & (columns < cells[1]))
    half = max(1, round(max(light.shape) / 400))
    ink = np.zeros_like(light)
    ink[seen] = _GRID * (_changes(rows, 0, half)[:, None] | _changes(columns, 0, half))[seen]
    bright = light >= 0.5
    ink[_changes(bright, 0, half) | _changes(bright, 1, half)] = 1.0
    return ink


def _changes(values: NDArray[Any], axis: int, half: int) -> NDArray[np.bool_]:
    """Return which pixels are fewer than `half` from a change of value along an axis."""
    turned = np.moveaxis(values, axis, 0)
    changed = turned[1:] != turned[:-1]
    near = np.zeros(turned.shape, dtype=bool)
    for shift in range(min(half, len(changed))):
        near[shift + 1 :] |= changed[: len(changed) - shift]
        near[: len(changed) - shift] |= changed[shift:]
    return np.moveaxis(near, 0, axis)


def outline(light: Array) -> Array:
    """Return how strongly each pixel is inked by the line where the light is one half.

    (H, W) from 0 to 1. A pixel's distance to the line is its difference to one half over the
    slope of the light there, so the line is equally thin on gentle and on steep slopes.
    """
    down, across = (
        np.gradient(light, axis=axis) if light.shape[axis] > 1 else np.zeros_like(light)
        for axis in (0, 1)
    )
    distance = np.abs(light - 0.5) / np.maximum(np.hypot(down, across), 1e-4)
    half = max(0.75, max(light.shape) / 800)
    ink: Array = np.clip(half + 0.5 - distance, 0.0, 1.0)
    return ink


def highlight(
    image: Image.Image, attention: Array, area: Area, style: Style = Style.SMOOTH
) -> Image.Image:
    """Lay one word's attention (h, w) over an RGB picture."""
    light = spread(attention, area, image.size, style)
    rows, columns = attention.shape
    return spotlight(image, light, lines(light, (rows, columns), area, style))


def spotlight(image: Image.Image, light: Array, ink: Array | None = None) -> Image.Image:
    """Light an RGB picture of (H, W) where `light` (H, W) is 1, and dim it where it is 0.

    `ink` (H, W) says where the line is; by default where the light is one half.
    """
    ink = outline(light) if ink is None else ink
    colours = np.asarray(image, dtype=np.float64)
    dimmed = DIM * (colours @ np.array(_GREY))[:, :, None]
    mixed = dimmed + (colours - dimmed) * light[:, :, None]
    mixed += (np.array(LINE) - mixed) * ink[:, :, None]
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def resized(image: Image.Image, side: int) -> Image.Image:
    """Return the picture in RGB with its longer side of `side` pixels."""
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
