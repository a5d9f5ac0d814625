"""Products with a weight that is laid out for them once, on a CPU.

oneDNN multiplies few rows with a weight in its own order two to three times as fast as with one as
torch keeps it, and bfloat16 twice as fast again, where the CPU has it.

Shapes: `I` and `O` sizes of input and output.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["Product", "has", "lay_out", "linear", "mixed_dtype"]

Product = Callable[[Tensor], Tensor]


def lay_out(
    weight: Tensor, bias: Tensor | None = None, *, dtype: torch.dtype | None = None
) -> Product:
    """Return the product of `x` (..., I) with a weight (O, I), plus a bias (O,).

    With a `dtype` the numbers are multiplied in it; what comes out has the type of `x`.
    """
    dtype = dtype or weight.dtype
    needs = {torch.float32: "onednn", torch.bfloat16: "bfloat16"}.get(weight.dtype)
    if not (needs and weight.device.type == "cpu" and has(needs)):
        return lambda x: F.linear(x.to(weight.dtype), weight, bias).to(x.dtype)
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), None)
    added = None if bias is None else bias.to(dtype)
    multiply = torch.ops.mkldnn._linear_pointwise

    def product(x: Tensor) -> Tensor:
        y: Tensor = multiply(x.to(dtype), laid_out, added, "none", [], "")
        return y.to(x.dtype)

    return product


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `torch.nn.functional.linear`, faster where a large result is learned from on a CPU.

    PyTorch writes the bias where the result will be, and adds the product to it; oneDNN adds it on
    the way. In mixed precision the result is in bfloat16.

    Args:
        x: (N, I).
        weight: (O, I).
        bias: (O,).
    """
    mixed = mixed_dtype(x.device.type)
    plain = mixed is None and torch.is_autocast_enabled(x.device.type)
    single = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if plain or x.ndim != 2 or not (single and has("onednn") and torch.is_grad_enabled()):
        return F.linear(x, weight, bias)
    y: Tensor = _Linear.apply(x, weight, bias, mixed or x.dtype)
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        x, weight = x.to(dtype), weight.to(dtype)
        ctx.save_for_backward(x, weight)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias.to(dtype), "none", [], "")
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted, exact = ctx.needs_input_grad, torch.float32
        return (
            (dy @ weight).to(exact) if wanted[0] else None,
            (dy.t() @ x).to(exact) if wanted[1] else None,
            dy.sum(0, dtype=exact) if wanted[2] else None,
            None,
        )


@cache
def has(what: str) -> bool:
    """Say whether this torch on this CPU has fast products: `onednn` or `bfloat16`."""
    if what == "onednn":
        return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return has("onednn") and _cpu("_is_avx512_bf16_supported")


def mixed_dtype(device: str) -> torch.dtype | None:
    """Return bfloat16 where mixed precision asks for it now, on a CPU that is fast at it."""
    mixed = device == "cpu" and torch.is_autocast_enabled(device)
    halves = mixed and torch.get_autocast_dtype(device) == torch.bfloat16 and has("bfloat16")
    return torch.bfloat16 if halves else None


def _cpu(question: str) -> bool:
    """Ask torch about this CPU; a version that does not know the question says no."""
    answer: bool = getattr(torch.cpu, question, lambda: False)()
    return answer
