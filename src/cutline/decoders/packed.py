"""A decoder made ready to caption on a CPU: its weights laid out once for the products to come.

A caption is made of products of few rows with large weights, so what counts is how weights are
read. `float32` lays them out as oneDNN wants them, which changes no number but by rounding;
`bfloat16` halves them, `int8` quarters them (one scale for each output, rows of inputs quantised
as they come). States, attention and sums stay in single precision.
"""

import copy
import warnings
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cutline.decoders.contract import Decoder
from cutline.decoders.stand_in import stand_in
from cutline.errors import UsageError

__all__ = ["Precision", "check_precision", "pack", "precisions"]

Precision = Literal["float32", "bfloat16", "int8"]

Product = Callable[[Tensor], Tensor]


def pack(decoder: Decoder, precision: Precision = "float32") -> Decoder:
    """Return a copy of `decoder` for captioning on this CPU; the decoder stays as it is.

    Raises:
        UsageError: this CPU has no fast products of that precision.
    """
    check_precision(precision)
    packed = copy.deepcopy(decoder).eval().requires_grad_(False)
    make = {"float32": _single, "bfloat16": _half, "int8": _quarter}[precision]
    stand_in(
        packed,
        matrix=lambda weight: _Matrix(make(weight.t(), None)),
        linear=lambda module: make(module.weight, module.bias),
    )
    return packed


def check_precision(precision: str) -> None:
    """Raise a UsageError where this CPU has no fast products of `precision`."""
    if precision not in precisions():
        raise UsageError(
            f"precision is {precision}, but this machine has {', '.join(precisions())}; "
            "give one of these."
        )


@cache
def precisions() -> tuple[Precision, ...]:
    """Return what this CPU has fast products for; `float32` always."""
    found: list[Precision] = ["float32"]
    if _has_onednn() and _has("_is_avx512_bf16_supported"):
        found.append("bfloat16")
    if _has("_is_vnni_supported") and hasattr(torch, "quantize_per_channel"):
        found.append("int8")
    assert set(found) <= set(get_args(Precision))
    return tuple(found)


def _has_onednn() -> bool:
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there


def _has(question: str) -> bool:
    """Ask torch about this CPU; a version that does not know the question says no."""
    answer: bool = getattr(torch.cpu, question, lambda: False)()
    return answer


class _Matrix:
    """Stands for a weight (I, O) at the right of `@`."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def __rmatmul__(self, x: Tensor) -> Tensor:
        return self.product(x)


def _single(weight: Tensor, bias: Tensor | None) -> Product:
    return _prepacked(weight, bias, torch.float32)


def _half(weight: Tensor, bias: Tensor | None) -> Product:
    return _prepacked(weight, bias, torch.bfloat16)


def _prepacked(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Product:
    """Lay a weight (O, I) out for oneDNN."""
    if not _has_onednn():
        return lambda x: nn.functional.linear(x, weight, bias)
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous().to(dtype), None)
    added = None if bias is None else bias.to(dtype)
    multiply = torch.ops.mkldnn._linear_pointwise

    def product(x: Tensor) -> Tensor:
        y: Tensor = multiply(x.to(dtype), laid_out, added, "none", [], "")
        return y.to(x.dtype)

    return product


def _quarter(weight: Tensor, bias: Tensor | None) -> Product:
    scale = (weight.abs().amax(1) / 127).clamp_min(torch.finfo(weight.dtype).tiny)
    zero = torch.zeros(len(weight), dtype=torch.long)
    with warnings.catch_warnings():  # torch means to drop its quantised tensors: see `precisions`
        warnings.simplefilter("ignore", UserWarning)
        rounded = torch.quantize_per_channel(
            weight.contiguous(), scale.double(), zero, 0, torch.qint8
        )
    laid_out = torch.ops.quantized.linear_prepack(rounded, bias)

    def product(x: Tensor) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(x, laid_out, False)
        return y

    return product
