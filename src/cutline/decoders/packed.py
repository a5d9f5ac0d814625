"""A decoder made ready to caption on a CPU: its weights laid out once for the products to come.

A caption is made of products of few rows with large weights, so what counts is how weights are
read. `float32` lays them out as oneDNN wants them, which changes no number but by rounding;
`bfloat16` halves them, `int8` quarters them (one scale for each output, one for each row of inputs
as it comes). States, attention and sums stay in single precision, and so do the scores of words, or
at least of the best (`best`).
"""

import copy
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cutline.decoders.best import exact_where_best
from cutline.decoders.contract import Decoder
from cutline.decoders.head import Headed
from cutline.decoders.ready_soft import Rank, ReadySoft
from cutline.decoders.soft import Soft
from cutline.decoders.stand_in import stand_in
from cutline.errors import UsageError
from cutline.functional.products import Product, has, lay_out, lay_out_int8
from cutline.functional.ragged import use_native

__all__ = ["Precision", "check_precision", "pack", "precisions"]

Precision = Literal["float32", "bfloat16", "int8"]

MAKE: dict[Precision, Callable[[Tensor, Tensor | None], Product]] = {
    "float32": lay_out,
    "bfloat16": partial(lay_out, dtype=torch.bfloat16),
    "int8": lay_out_int8,
}


def pack(
    decoder: Decoder, precision: Precision = "float32", *, libraries: Path | None = None
) -> Decoder:
    """Return a copy of `decoder` for captioning on this CPU; the decoder stays as it is.

    `libraries` is where a loop in C++ may be kept, if there is to be one (`ragged.use_native`).

    Raises:
        UsageError: this CPU has no fast products of that precision.
    """
    check_precision(precision)
    make = MAKE[precision]
    packed = copy.deepcopy(decoder).eval().requires_grad_(False)
    inner = packed.decoder if isinstance(packed, Headed) else packed
    # the map to the vocabulary: rounded scores would make near words equal
    last = {part for part in inner.children() if _maps_to_words(part, inner)}
    ready = None
    if type(inner) is Soft and inner.scratch is None:
        regions = torch.bfloat16 if precision == "bfloat16" else None
        ready = ReadySoft(inner, make, _ranking(precision), regions)
        if libraries is not None:
            use_native(libraries)
    stand_in(
        packed,
        matrix=lambda weight: _Matrix(make(weight.t(), None)),
        linear=lambda module: (MAKE["float32"] if module in last else make)(
            module.weight, module.bias
        ),
    )
    if ready is None:
        return packed
    return Headed(packed.head, ready) if isinstance(packed, Headed) else ready


def _ranking(precision: Precision) -> Callable[[Tensor, Tensor], Rank]:
    """Say how words are ranked: in low precision all of them roughly, in the lowest there is."""
    if precision == "float32":
        return lay_out
    rough = lay_out_int8 if "int8" in precisions() else MAKE[precision]
    return lambda weight, bias: exact_where_best(rough(weight, bias), weight, bias)


def _maps_to_words(part: nn.Module, decoder: Any) -> bool:
    return isinstance(part, nn.Linear) and part.out_features == decoder.embed.num_embeddings


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
    every: tuple[Precision, ...] = get_args(Precision)
    return tuple(name for name in every if name == "float32" or has(name))


class _Matrix:
    """Stands for a weight (I, O) at the right of `@`."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def __rmatmul__(self, x: Tensor) -> Tensor:
        return self.product(x)
