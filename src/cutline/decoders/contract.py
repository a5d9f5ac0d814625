"""The decoder contract: `prepare`, `start`, `step`, `project`.

    memory = decoder.prepare(features)            # projections done once, returned, never kept
    state  = decoder.start(memory)                # NamedTuple of batch-first tensors, one per image
    out    = decoder.step(words, state, memory)   # Step
    logits = decoder.project(out.output)          # the vocabulary, for one step or for all at once

A decoder is any `nn.Module` that keeps it, written with any layers of PyTorch. Training, search,
explanation and export call these four methods and nothing else; nothing is replaced in a decoder.

Several captions of one image (its references in training, its beams in search) share its memory:
`step` takes `N = B * K` words and states for the `B` images of `memory`, and caption `n` belongs to
image `n // K`. Whatever a decoder needs of the image it finds in `memory`; nothing is copied `K`
times.

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `V` vocabulary, `O` output size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, Self

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from cutline.functional import Features

__all__ = [
    "Decoder",
    "Location",
    "Step",
    "block_rows",
    "first_rows",
    "repeat_rows",
    "take_rows",
    "uniform",
]

Memory = TypeVar("Memory", bound=tuple[Any, ...], default=Any)
State = TypeVar("State", bound=tuple[Any, ...], default=Any)
Rows = TypeVar("Rows", bound=tuple[Any, ...])


class Location(NamedTuple):
    """A sampled region, its log-probability and the distribution's entropy, (N,) each.

    A caption for which nothing was sampled has region -1 and zeros, without a gradient.
    """

    region: Tensor
    log_prob: Tensor
    entropy: Tensor


class Step(NamedTuple, Generic[State]):
    """The result of one step.

    `output` (N, O) is what `project` maps to the vocabulary. `attention` (N, R) sums to one, or to
    `1 - sentinel` where there is a `sentinel` (N,): the share given to the language model's own
    memory. `location` is there when a region was sampled (hard attention).
    """

    output: Tensor
    state: State
    attention: Tensor | None = None
    sentinel: Tensor | None = None
    location: Location | None = None


class Decoder(nn.Module, ABC, Generic[Memory, State]):
    """A recurrent decoder: a start and a step, with all state passed in and out.

    `attends` says whether steps report attention; `needs` which part of `Features` is used
    (`grid` or `pooled`). `config` is the class of a recipe's fields, for a decoder from outside the
    package that wants them checked; without it they are the arguments of its constructor.
    """

    attends: ClassVar[bool]
    needs: ClassVar[str]
    config: ClassVar[type[Any] | None] = None

    @abstractmethod
    def prepare(self, features: Features) -> Memory:
        """Compute once per image what no step changes: a NamedTuple of tensors with `B` rows."""

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """Return the state before the first word: a NamedTuple of tensors with `B` rows."""

    @abstractmethod
    def step(self, words: Tensor, state: State, memory: Memory) -> Step[State]:
        """Read `words` (N,); `state` has `N = B * K` rows, `memory` has `B`."""

    @abstractmethod
    def project(self, output: Tensor) -> Tensor:
        """Map outputs (..., O) to logits, unnormalised scores of the vocabulary, (..., V)."""

    def begin_epoch(self, epoch: int) -> None:
        """Hear which epoch of training begins, the first being 1; most decoders need not know."""

    def word_embedding(self) -> nn.Embedding | None:
        """Return the embedding of the words, which pretrained word vectors may initialise.

        By default the only `nn.Embedding` there is, whatever its name; None if there is none, or
        more than one: a decoder with several says here which it is.
        """
        found = [module for module in self.modules() if isinstance(module, nn.Embedding)]
        return found[0] if len(found) == 1 else None

    def without_draws(self) -> Self:
        """Return what a graph computes: this decoder, or one of its weights that draws nothing."""
        return self


def take_rows(rows: Rows, index: Tensor) -> Rows:
    """Select rows of every tensor of a NamedTuple (nested ones included)."""
    return _map(rows, lambda tensor: tensor.index_select(0, index))


def repeat_rows(rows: Rows, times: int) -> Rows:
    """Repeat each row `times` times in place: a, a, b, b."""
    return rows if times == 1 else _map(rows, lambda t: t.repeat_interleave(times, dim=0))


def first_rows(rows: Rows, count: int) -> Rows:
    """Return the first `count` rows, as views."""
    return _map(rows, lambda tensor: tensor[:count])


def block_rows(rows: Rows, old: tuple[int, int], new: tuple[int, int]) -> Rows:
    """Of rows in a block (images, captions), return those of the first images and captions."""
    return _map(rows, lambda t: t.view(*old, *t.shape[1:])[: new[0], : new[1]].flatten(0, 1))


def _map(rows: Rows, change: Callable[[Tensor], Tensor]) -> Rows:
    return type(rows)(
        *(change(item) if isinstance(item, Tensor) else _map(item, change) for item in rows)
    )


def uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Draw a weight from `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`, as `torch.nn.Linear` does."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
