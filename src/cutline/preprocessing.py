"""Preprocessing: from a picture to an encoder's input. Needs no deep-learning stack.

Shapes: `S` the side of the encoder's input in pixels.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["Area", "Preprocessing"]

Area = tuple[float, float, float, float]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Preprocessing:
    """Make a picture square, then normalise its channels.

    `resize` says how: `squash` ignores the aspect, `crop` keeps the middle square, `pad` adds grey
    bars. `mean` and `std` are of RGB in 0..1.
    """

    size: int
    resize: Literal["squash", "crop", "pad"]
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def square(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the RGB picture as (S, S, 3)."""
        side = (self.size, self.size)
        method = _FILTERS.get(self.interpolation, Image.Resampling.BICUBIC)
        if self.resize == "crop":
            image = ImageOps.fit(image, side, method)
        elif self.resize == "pad":
            image = ImageOps.pad(image, side, method, color=(127, 127, 127))
        elif image.size != side:
            image = image.resize(side, method)
        return np.array(image)

    def scale(self) -> tuple[Any, Any]:
        """Return the factor and offset, (3,) each, that turn 0..255 into what the encoder reads."""
        std = np.array(self.std, dtype=np.float32)
        return 1 / (255 * std), -np.array(self.mean, dtype=np.float32) / std

    def area(self, width: int, height: int) -> Area:
        """Return which part of a picture the encoder sees.

        Left, top, right and bottom as shares of the picture's width and height. The attention grid
        divides that rectangle evenly; with `pad` it reaches past the picture.
        """
        if self.resize == "squash":
            return (0.0, 0.0, 1.0, 1.0)
        side = min(width, height) if self.resize == "crop" else max(width, height)
        x, y = side / width / 2, side / height / 2
        return (0.5 - x, 0.5 - y, 0.5 + x, 0.5 + y)
