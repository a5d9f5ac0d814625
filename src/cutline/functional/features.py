"""Image features, as an encoder returns them.

Shapes: `B` images, `R` regions, `D` feature size.
"""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Features"]


class Features(NamedTuple):
    """Image features: `grid` (B, R, D) in rows of `width`, and `pooled` (B, D).

    `R = height * width`; region `r` lies in row `r // width`, column `r % width`.
    """

    grid: Tensor
    pooled: Tensor
    height: int
    width: int
