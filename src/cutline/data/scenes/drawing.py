"""A scene as a picture: the texture first, then the things from back to front."""

from colorsys import hsv_to_rgb
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.data.scenes.outlines import outline, stamp
from cutline.data.scenes.scene import Background, Scene, Thing

__all__ = ["draw"]

Pattern = NDArray[np.float64]

_PAINT = {
    "red": (214, 40, 40),
    "green": (42, 157, 72),
    "blue": (36, 94, 214),
    "yellow": (250, 212, 40),
    "purple": (146, 56, 190),
    "orange": (246, 128, 22),
    "white": (248, 248, 245),
    "black": (30, 30, 34),
}
# A rim keeps two things of one colour apart; black needs a light one.
_RIM = 0.014
_DARKER = 0.55
_RIM_OF_BLACK = (112, 112, 120)


def draw(scene: Scene, side: int) -> Image.Image:
    """Draw a scene as an RGB picture of side x side pixels."""
    picture = _texture(scene.background, scene.seed, side)
    for thing in scene.things:
        corners = outline(thing.shape, thing.x, thing.y, thing.radius, thing.tilt)
        body, inside, corner = stamp(corners, side, _RIM)
        paint = _paint(thing)
        rim = tuple(round(_DARKER * level) for level in paint)
        picture.paste(_RIM_OF_BLACK if thing.colour == "black" else rim, corner, body)
        picture.paste(paint, corner, inside)
    return picture


def _paint(thing: Thing) -> tuple[int, ...]:
    return tuple(
        min(max(round(level + 10 * thing.shade), 0), 255) for level in _PAINT[thing.colour]
    )


def _texture(background: Background, seed: int, side: int) -> Image.Image:
    """Mix the background's two tones by a pattern of numbers from 0 to 1."""
    hue, saturation, value = background.tone
    first = np.array(hsv_to_rgb(hue, saturation, value))
    second = np.array(hsv_to_rgb(hue, saturation, value + background.contrast))
    mix = _pattern(background, seed, side)[:, :, None]
    levels = np.float32(255) * (first + (second - first) * mix).astype(np.float32)
    return Image.fromarray(levels.astype(np.uint8))


def _pattern(background: Background, seed: int, side: int) -> Pattern:
    """Return the texture's pattern, (side, side), 0 to 1."""
    if background.kind == "noise":
        return _noise(seed, side)
    middles = (np.arange(side) + 0.5) / side
    along_x = middles * cos(background.angle)
    along_y = middles * sin(background.angle)
    first = along_x[None, :] + along_y[:, None]
    if background.kind == "gradient":
        return np.asarray((first - first.min()) / np.ptp(first))
    waves = _wave(first, background.period)
    if background.kind == "checks":
        across_x = middles * -sin(background.angle)
        across_y = middles * cos(background.angle)
        second = _wave(across_x[None, :] + across_y[:, None], background.period)
        waves = waves * second
    # Steep waves with soft flanks are stripes without jagged edges, at every size.
    return np.clip(0.5 + 1.5 * waves, 0, 1)


def _wave(place: Pattern, period: float) -> Pattern:
    return np.sin(place * (2 * pi / period))


def _noise(seed: int, side: int) -> Pattern:
    """Return clouds: a fixed lattice of random numbers, smoothed up to the picture's size."""
    lattice = np.random.Generator(np.random.PCG64([seed, 2])).random((14, 14))
    clouds = Image.fromarray(lattice.astype(np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(clouds, dtype=np.float64), 0, 1)
