"""What every decoder gives, and the few things that are done alike for all of them.

    memory = decoder.prepare(features)            # projections done once, returned, never kept
    state  = decoder.start(memory)                # NamedTuple of batch-first tensors, one per image
    out    = decoder.step(words, state, memory)   # Step
    scores = decoder.project(out.output)          # the vocabulary, for one step or for all at once

Where the recurrence does not depend on attention, `run` may read whole captions in one go; nothing
but `unroll` calls it, and the contract suite shows it equal to the steps.

Several captions of one image (its references in training, its beams in search) share its memory:
`step` takes `N = B * K` words and states for the `B` images of `memory`, and caption `n` belongs to
image `n // K`. Whatever a decoder needs of the image it finds in `memory`; nothing is copied `K`
times.

Shapes: `B` images, `N` captions, `T` time steps, `M` words in all, `R` regions, `D` feature size,
`V` vocabulary, `O` output size.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cutline.functional import Features
from cutline.functional.order import Order

__all__ = [
    "Decoder",
    "Location",
    "Ran",
    "Step",
    "block_rows",
    "first_rows",
    "repeat_rows",
    "take_rows",
    "uniform",
]

Rows = TypeVar("Rows", bound=tuple[Any, ...])


class Location(NamedTuple):
    """A sampled place to look at, its log-probability, the distribution's entropy; (N,) each.

    A caption for which nothing was sampled has region -1 and zeros, without a gradient.
    """

    region: Tensor
    log_prob: Tensor
    entropy: Tensor


class Step(NamedTuple):
    """What one step gives.

    `output` (N, O) is what `project` maps to the vocabulary. `attention` (N, R) sums to one, or to
    `1 - sentinel` where there is a `sentinel` (N,): the share given to the language model's own
    memory. `location` is there when a place was sampled (hard attention).
    """

    output: Tensor
    state: Any
    attention: Tensor | None = None
    sentinel: Tensor | None = None
    location: Location | None = None


class Ran(NamedTuple):
    """What whole captions gave, by the prefixes of an `order`: `output` (Q, O), `attention` (Q, R).

    A `location` is of each word, (M,).
    """

    order: Order
    output: Tensor
    attention: Tensor | None = None
    location: Location | None = None


class Decoder(nn.Module, ABC):
    """A recurrent decoder: a start and a step, with all state passed in and out.

    `attends` says whether steps report attention; `needs` which part of `Features` is used
    (`grid` or `pooled`).
    """

    attends: ClassVar[bool]
    needs: ClassVar[str]

    def begin_epoch(self, epoch: int) -> None:
        """Hear which epoch of training begins, the first being 1; most decoders need not know."""

    @abstractmethod
    def prepare(self, features: Features) -> Any:
        """Do once per image what no step changes: a NamedTuple of tensors with `B` rows."""

    @abstractmethod
    def start(self, memory: Any) -> Any:
        """Return the state before the first word: a NamedTuple of tensors with `B` rows."""

    @abstractmethod
    def step(self, words: Tensor, state: Any, memory: Any) -> Step:
        """Read `words` (N,) and look again; `state` has `N = B * K` rows.

        What has `N` rows here has one for each caption: in training the products of those that have
        ended are left out (`deferred`).
        """

    def run(self, words: Tensor, lengths: Tensor, memory: Any) -> Ran | None:  # noqa: ARG002
        """Read whole captions faster than by steps, or return None: there is nothing but steps.

        Only for a decoder that reports no sentinel.

        Args:
            words: what is read at each step, (N, T); past the end of a caption anything.
            lengths: how many of them are real, (B, K).
            memory: of `B` images.
        """
        return None

    def without_draws(self) -> "Decoder":
        """Return what a graph computes: this decoder, or one of its weights that draws nothing."""
        return self

    @abstractmethod
    def project(self, output: Tensor) -> Tensor:
        """Map outputs (..., O) to unnormalised scores of the vocabulary (..., V)."""


def take_rows(rows: Rows, index: Tensor) -> Rows:
    """Choose rows of every tensor of a NamedTuple (nested ones included)."""
    return _map(rows, lambda tensor: tensor.index_select(0, index))


def repeat_rows(rows: Rows, times: int) -> Rows:
    """Repeat each row `times` times in place: a, a, b, b."""
    return rows if times == 1 else _map(rows, lambda t: t.repeat_interleave(times, dim=0))


def first_rows(rows: Rows, count: int) -> Rows:
    """Keep the first `count` rows, as views."""
    return _map(rows, lambda tensor: tensor[:count])


def block_rows(rows: Rows, old: tuple[int, int], new: tuple[int, int]) -> Rows:
    """Of rows that stand in a block (images, captions), keep the first of both."""
    return _map(rows, lambda t: t.unflatten(0, old)[: new[0], : new[1]].flatten(0, 1))


def _map(rows: Rows, change: Any) -> Rows:
    return type(rows)(
        *(change(item) if isinstance(item, Tensor) else _map(item, change) for item in rows)
    )


def uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Draw a weight from `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`, as `torch.nn.Linear` draws it."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
