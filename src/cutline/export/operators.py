"""Replacements for operators that PyTorch's exporter translates wrongly.

`onnxscript` (0.7.2) repeats rows along the axis before the right one where their number is free: of
`memory.repeat_interleave(words.shape[0] // memory.shape[0], 0)`, by which captions get their image,
it makes a graph that fails with more than one image.
"""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18

__all__ = ["OPERATORS"]

op: Any = opset18


def repeat_interleave(
    self: Any,
    repeats: Any,
    dim: int | None = None,
    output_size: int | None = None,  # noqa: ARG001
) -> Any:
    """Write `aten::repeat_interleave.self_int`."""
    if dim is None:
        self, dim, rank = op.Reshape(self, op.Constant(value_ints=[-1])), 0, 1
    else:
        rank = len(self.shape)
    place = dim % rank
    if isinstance(repeats, int):
        many = op.Constant(value_ints=[repeats])
    else:
        many = op.Reshape(repeats, op.Constant(value_ints=[-1]))
    sizes = [op.Constant(value_ints=[1] * (place + 1)), many]
    if place + 1 < rank:
        sizes.append(op.Constant(value_ints=[1] * (rank - place - 1)))
    apart = op.Unsqueeze(self, op.Constant(value_ints=[place + 1]))
    repeated = op.Expand(apart, op.Concat(*sizes, axis=0))
    shape = [op.Constant(value_ints=[-1])]
    if place > 0:
        shape.insert(0, op.Shape(self, start=0, end=place))
    if place + 1 < rank:
        shape.append(op.Shape(self, start=place + 1))
    return op.Reshape(repeated, op.Concat(*shape, axis=0))


OPERATORS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.repeat_interleave.self_int: repeat_interleave
}
"""For `torch.onnx.export`: its `custom_translation_table`."""
