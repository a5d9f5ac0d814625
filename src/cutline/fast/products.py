"""Matrix products with a weight that is laid out for oneDNN once, on a CPU.

oneDNN multiplies few rows with a weight in its own order two to three times as fast as with one as
torch keeps it, and bfloat16 twice as fast again, where the CPU has it.

Shapes: `I` and `O` sizes of input and output.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional import Features

__all__ = ["Product", "cast_once", "lay_out", "mixed_dtype", "supports"]

Product = Callable[[Tensor], Tensor]


def lay_out(weight: Tensor) -> Product:
    """Return the product of `x` (..., I) with a weight (O, I).

    Numbers are multiplied in the type of the weight; the result has the type of `x`.
    """
    dtype = weight.dtype
    needs = {torch.float32: "onednn", torch.bfloat16: "bfloat16"}.get(dtype)
    if not (needs and weight.device.type == "cpu" and supports(needs)):
        return lambda x: F.linear(x.to(dtype), weight).to(x.dtype)
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
    multiply = torch.ops.mkldnn._linear_pointwise

    def product(x: Tensor) -> Tensor:
        y: Tensor = multiply(x.to(dtype), laid_out, None, "none", [], "")
        return y.to(x.dtype)

    return product


@cache
def supports(what: str) -> bool:
    """Say whether this torch on this CPU has fast products: `onednn` or `bfloat16`."""
    if what == "onednn":
        return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return supports("onednn") and _cpu("_is_avx512_bf16_supported")


def mixed_dtype(device: str) -> torch.dtype | None:
    """Return bfloat16 where mixed precision asks for it now, on a CPU that is fast at it."""
    mixed = device == "cpu" and torch.is_autocast_enabled(device)
    halves = mixed and torch.get_autocast_dtype(device) == torch.bfloat16 and supports("bfloat16")
    return torch.bfloat16 if halves else None


def cast_once(features: Features) -> Features:
    """Cast the grid as autocast would at each of its products; without autocast it is as it is."""
    grid = features.grid
    if grid.dtype == torch.float32 and torch.is_autocast_enabled(grid.device.type):
        grid = grid.to(torch.get_autocast_dtype(grid.device.type))
    return features._replace(grid=grid)


def _cpu(question: str) -> bool:
    """Ask torch about this CPU; a version that does not know the question says no."""
    answer: bool = getattr(torch.cpu, question, lambda: False)()
    return answer
