"""The gradients of weights, computed once for a whole caption and not at every step.

Autograd would multiply a few rows at each of `T` steps and add `T` gradients as large as the
weights. Here each step leaves what its products read and what came back, and one product over all
steps makes the gradient: the same numbers in another order. And as a weight meets `T` products on
its way there and `T` on its way back, it is laid out for them first (`products`); with
`training.precision: bf16-mixed` on a CPU that has it, in bfloat16. Rows of captions that have ended
stand among the others, because an image's captions stay together; they are not multiplied.

Shapes: `N` rows of one step, `I` and `O` sizes of input and output.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cutline.decoders.contract import Decoder
from cutline.decoders.stand_in import standing_in
from cutline.functional.products import Product, lay_out, mixed_dtype

__all__ = ["Going", "deferred_gradients"]


class Going:
    """Which rows of a step are of captions that go on; of the others nothing will be read."""

    def __init__(self) -> None:
        self.heard = False  # until something stands in that wants to know
        self.rows: Tensor | None = None
        self.among = 0

    def tell(self, rows: Tensor | None, *, among: int) -> None:
        """Hear before the step which of so many rows go on; None: all."""
        if self.heard:
            self.rows, self.among = rows, among

    def of(self, x: Tensor) -> Tensor | None:
        """Return the numbers of the rows of `x` that count, or None: all do."""
        return self.rows if x.ndim == 2 and len(x) == self.among else None


@contextmanager
def deferred_gradients(decoder: Decoder) -> Iterator[Going]:
    """Defer the gradients of what `decoder` computes within; call `backward` when you like.

    Tell what is returned which captions go on, if not all do: products are of their rows only, and
    zero in the others.
    """
    going = Going()
    device = next(decoder.parameters()).device.type
    dtype = mixed_dtype(device)
    with ExitStack() as stack:
        if torch.is_grad_enabled() and (dtype or not torch.is_autocast_enabled(device)):
            going.heard = True
            stack.enter_context(
                standing_in(
                    decoder,
                    matrix=partial(_Matrix, going=going, dtype=dtype),
                    linear=partial(_linear, going=going, dtype=dtype),
                    embedding=_embedding,
                )
            )
        yield going


class _Waiting:
    """What the steps left behind: by step, so that a second way back replaces the first."""

    def __init__(self) -> None:
        self.steps: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, step: Any, read: Tensor, back: Tensor) -> None:
        self.steps[id(step)] = (read, back)

    def take(self) -> tuple[Tensor, Tensor]:
        read, back = (torch.cat(parts) for parts in zip(*self.steps.values(), strict=True))
        self.steps.clear()
        return read, back


class _Matrix:
    """Stands for a weight (I, O) at the right of `@`."""

    def __init__(self, weight: Tensor, *, going: Going, dtype: torch.dtype | None = None) -> None:
        self.weight = weight.detach()
        self.going = going
        self.dtype = dtype
        self.waiting = _Waiting()
        self.root: Tensor = _Root.apply(weight, self.waiting, partial(_outer, dtype=dtype))

    def __rmatmul__(self, x: Tensor) -> Tensor:
        product: Tensor = _Product.apply(x, self.root, self)
        return product

    @cached_property
    def there(self) -> Product:
        """From `x` to `x @ W`."""
        return lay_out(self.weight.t(), dtype=self.dtype)

    @cached_property
    def back(self) -> Product:
        """From the gradient of `x @ W` to that of `x`."""
        return lay_out(self.weight, dtype=self.dtype)


def _linear(
    module: nn.Linear, *, going: Going, dtype: torch.dtype | None
) -> Callable[[Tensor], Tensor]:
    matrix = _Matrix(module.weight.t(), going=going, dtype=dtype)

    def forward(x: Tensor) -> Tensor:
        product = x @ matrix
        return product if module.bias is None else product + module.bias

    return forward


def _embedding(module: nn.Embedding) -> Callable[[Tensor], Tensor]:
    weight, waiting = module.weight.detach(), _Waiting()
    root = _Root.apply(module.weight, waiting, _scatter)

    def forward(words: Tensor) -> Tensor:
        rows: Tensor = _Lookup.apply(words, weight, root, waiting)
        return rows

    return forward


def _outer(weight: Tensor, read: Tensor, back: Tensor, *, dtype: torch.dtype | None) -> Tensor:
    return (read.to(dtype).t() @ back.to(dtype)).to(weight.dtype)


def _scatter(weight: Tensor, read: Tensor, back: Tensor) -> Tensor:
    return torch.zeros_like(weight).index_add_(0, read, back)


class _Root(torch.autograd.Function):
    """Where the weight hangs on: autograd comes here when all of its products have been."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, waiting: _Waiting, gradient: Any) -> Tensor:
        ctx.weight, ctx.waiting, ctx.gradient = weight.detach(), waiting, gradient
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradient(ctx.weight, *ctx.waiting.take()), None, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, root: Tensor, matrix: _Matrix) -> Tensor:
        rows = matrix.going.of(x)
        read = x if rows is None else x[rows]
        ctx.save_for_backward(read, root)
        ctx.matrix, ctx.rows, ctx.among = matrix, rows, len(x)
        return _spread(matrix.there(read), rows, len(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, back: Tensor) -> tuple[Tensor | None, Tensor, None]:
        read, root = ctx.saved_tensors
        felt = back if ctx.rows is None else back[ctx.rows]
        ctx.matrix.waiting.add(ctx, read.flatten(0, -2), felt.flatten(0, -2))
        through = None
        if ctx.needs_input_grad[0]:
            through = _spread(ctx.matrix.back(felt), ctx.rows, ctx.among)
        return through, torch.zeros_like(root), None


def _spread(found: Tensor, rows: Tensor | None, among: int) -> Tensor:
    """Put rows where they belong among so many, the others being zero."""
    if rows is None:
        return found
    return found.new_zeros(among, found.shape[1]).index_copy_(0, rows, found)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, words: Tensor, weight: Tensor, root: Tensor, waiting: _Waiting) -> Tensor:
        ctx.save_for_backward(words, root)
        ctx.waiting = waiting
        return weight[words]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, back: Tensor) -> tuple[None, None, Tensor, None]:
        words, root = ctx.saved_tensors
        ctx.waiting.add(ctx, words.flatten(), back.flatten(0, -2))
        return None, None, torch.zeros_like(root), None
