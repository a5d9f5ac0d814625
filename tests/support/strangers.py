# ruff: noqa: ARG002
"""Decoders as people outside write them: with PyTorch's own layers, each in a way of its own."""

from typing import ClassVar, NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders import Decoder, Step
from cutline.functional import Features

__all__ = ["STRANGERS", "Cached", "Functional", "Gru", "LstmCells", "Matmul", "Renamed"]


class Pooled(NamedTuple):
    image: Tensor


class Hidden(NamedTuple):
    h: Tensor


class HiddenAndCell(NamedTuple):
    h: Tensor
    c: Tensor


class LstmCells(Decoder[Pooled, HiddenAndCell]):
    """`nn.LSTMCell`."""

    attends = False
    needs = "pooled"

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary_size, hidden)
        self.first = nn.Linear(feature_size, 2 * hidden)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Pooled:
        return Pooled(features.pooled)

    def start(self, memory: Pooled) -> HiddenAndCell:
        return HiddenAndCell(*self.first(memory.image).tanh().chunk(2, dim=1))

    def step(self, words: Tensor, state: HiddenAndCell, memory: Pooled) -> Step[HiddenAndCell]:
        h, c = self.cell(self.embed(words), (state.h, state.c))
        return Step(self.dropout(h), HiddenAndCell(h, c))

    def project(self, output: Tensor) -> Tensor:
        return self.answer(output)


class Gru(Decoder[Pooled, Hidden]):
    """`nn.GRUCell`."""

    attends = False
    needs = "pooled"

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary_size, hidden)
        self.first = nn.Linear(feature_size, hidden)
        self.cell = nn.GRUCell(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Pooled:
        return Pooled(features.pooled)

    def start(self, memory: Pooled) -> Hidden:
        return Hidden(self.first(memory.image).tanh())

    def step(self, words: Tensor, state: Hidden, memory: Pooled) -> Step[Hidden]:
        h = self.cell(self.embed(words), state.h)
        return Step(self.dropout(h), Hidden(h))

    def project(self, output: Tensor) -> Tensor:
        return self.answer(output)


class Functional(Gru):
    """`F.linear(x, self.W)` in the place of a cell; its fields have a class of their own."""

    class Fields(BaseModel):
        hidden: int = Field(16, gt=0)
        dropout: float = Field(0.0, ge=0, lt=1)

    config: ClassVar[type[BaseModel]] = Fields

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size,
            feature_size=feature_size,
            hidden=hidden,
            dropout=dropout,
        )
        del self.cell
        self.W = nn.Parameter(torch.randn(hidden, 2 * hidden) / hidden**0.5)
        self.b = nn.Parameter(torch.zeros(hidden))

    def step(self, words: Tensor, state: Hidden, memory: Pooled) -> Step[Hidden]:
        h = F.linear(torch.cat([self.embed(words), state.h], 1), self.W, self.b).tanh()
        return Step(self.dropout(h), Hidden(h))


class Matmul(Functional):
    """`torch.matmul`, with the weight at its left and at its right."""

    def step(self, words: Tensor, state: Hidden, memory: Pooled) -> Step[Hidden]:
        x = torch.cat([self.embed(words), state.h], 1)
        left = torch.matmul(self.W, x.unsqueeze(2)).squeeze(2)
        h = (left + torch.matmul(x, self.W.mT) + self.b).tanh()
        return Step(self.dropout(h), Hidden(h))


class Renamed(Decoder[Pooled, Hidden]):
    """An embedding under another name, and the vocabulary projected with it (tied weights)."""

    attends = False
    needs = "pooled"

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.lexicon = nn.Embedding(vocabulary_size, hidden)
        self.first = nn.Linear(feature_size, hidden)
        self.next = nn.Linear(2 * hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def prepare(self, features: Features) -> Pooled:
        return Pooled(features.pooled)

    def start(self, memory: Pooled) -> Hidden:
        return Hidden(self.first(memory.image).tanh())

    def step(self, words: Tensor, state: Hidden, memory: Pooled) -> Step[Hidden]:
        h = self.next(torch.cat([self.lexicon(words), state.h], 1)).tanh()
        return Step(self.dropout(h), Hidden(h))

    def project(self, output: Tensor) -> Tensor:
        return F.linear(output, self.lexicon.weight) / output.shape[-1] ** 0.5


class Regions(NamedTuple):
    """`keys` and `values` of the regions, (B, R, H) each."""

    keys: Tensor
    values: Tensor


class Cache(NamedTuple):
    """Keys and values of the words so far, (N, LONGEST, H), and how many they are, (N,)."""

    keys: Tensor
    values: Tensor
    length: Tensor


class Cached(Decoder[Regions, Cache]):
    """One block of a transformer; its state is a cache of the words read before."""

    attends = True
    needs = "grid"
    LONGEST = 16

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, hidden)
        self.positions = nn.Embedding(self.LONGEST, hidden)
        self.own = nn.Linear(hidden, 3 * hidden)
        self.regions = nn.Linear(feature_size, 2 * hidden)
        self.query = nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(),
            nn.Linear(2 * hidden, hidden), nn.Dropout(dropout),
        )  # fmt: skip
        self.answer = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Regions:
        return Regions(*self.regions(features.grid).chunk(2, dim=2))

    def start(self, memory: Regions) -> Cache:
        images, _, size = memory.keys.shape
        empty = memory.keys.new_zeros(images, self.LONGEST, size)
        return Cache(empty, empty, torch.zeros_like(memory.keys[:, 0, 0], dtype=torch.long))

    def step(self, words: Tensor, state: Cache, memory: Regions) -> Step[Cache]:
        place = state.length.clamp(max=self.LONGEST - 1)
        x = self.words(words) + self.positions(place)
        query, key, value = self.own(x).chunk(3, dim=1)
        here = F.one_hot(place, self.LONGEST).to(x.dtype).unsqueeze(2)
        keys, values = (
            old * (1 - here) + here * new.unsqueeze(1)
            for old, new in ((state.keys, key), (state.values, value))
        )
        known = torch.arange(self.LONGEST, device=words.device) <= place.unsqueeze(1)
        scores = torch.matmul(keys, query.unsqueeze(2)).squeeze(2) / x.shape[1] ** 0.5
        shares = scores.masked_fill(~known, -torch.inf).softmax(1)
        x = x + torch.matmul(shares.unsqueeze(1), values).squeeze(1)
        asked = self.query(x).view(memory.keys.shape[0], -1, x.shape[1])
        attention = (asked @ memory.keys.mT / x.shape[1] ** 0.5).softmax(2)
        x = x + (attention @ memory.values).flatten(0, 1)
        state = Cache(keys, values, state.length + 1)
        return Step(x + self.feed(x), state, attention.flatten(0, 1))

    def project(self, output: Tensor) -> Tensor:
        return self.answer(output)

    def word_embedding(self) -> nn.Embedding:
        return self.words


STRANGERS: dict[str, type[Decoder]] = {
    "a stranger with LSTMCell": LstmCells,
    "a stranger with GRUCell": Gru,
    "a stranger with F.linear": Functional,
    "a stranger with torch.matmul": Matmul,
    "a stranger with an embedding of another name": Renamed,
    "a stranger whose state is a cache": Cached,
}
