"""Decoders that only the tests know: two for which the contract must hold too, and one to follow.

`Sentinel` looks with its *new* hidden state, may look away, and has a nested state of two layers.
`Sampled` looks at one region, drawn while it trains and the likeliest otherwise.
`Counting` counts: it is sure of what comes next, and remembers what it has read.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cutline.decoders import Decoder, Location, Step
from cutline.functional import Features, lstm_step


class Layer(NamedTuple):
    h: Tensor
    c: Tensor


class SentinelMemory(NamedTuple):
    V: Tensor
    keys: Tensor
    v_g: Tensor


class SentinelState(NamedTuple):
    """`lstm` is a layer of (N, H) twice, `above` (N, 2, H) both layers of a small RNN."""

    lstm: Layer
    above: Tensor


class Sentinel(Decoder):
    """Lu et al. 2017 (arXiv 1612.01887), section 2.3, under a two-layer RNN."""

    attends = True
    needs = "grid"

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 6, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.W_v = nn.Linear(feature_size, hidden)
        self.embed = nn.Embedding(vocabulary_size, hidden)
        self.global_feature = nn.Linear(feature_size, hidden)
        self.begin = nn.Linear(hidden, 4 * hidden)
        self.lstm = nn.ParameterList(
            [
                torch.randn(2 * hidden, 4 * hidden) / 3,
                torch.randn(hidden, 4 * hidden) / 3,
                torch.randn(4 * hidden) / 3,
            ]
        )
        self.gate = nn.Linear(3 * hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden)
        self.look_away = nn.Linear(hidden, hidden)
        self.w_z = nn.Linear(hidden, 1, bias=False)
        self.layers = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(2))
        self.W_p = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> SentinelMemory:
        V = self.W_v(features.grid).relu()
        return SentinelMemory(V, self.key(V), self.global_feature(features.grid.mean(1)))

    def start(self, memory: SentinelMemory) -> SentinelState:
        h, c, *above = self.begin(memory.v_g).tanh().chunk(4, dim=1)
        return SentinelState(Layer(h, c), torch.stack(above, 1))

    def step(self, words: Tensor, state: SentinelState, memory: SentinelMemory) -> Step:
        images, regions, size = memory.V.shape
        h, c = state.lstm
        captions = words.shape[0] // images
        v_g = memory.v_g.repeat_interleave(captions, 0)
        x = torch.cat([self.embed(words), v_g], 1)
        g = self.gate(torch.cat([x, h], 1)).sigmoid()
        h, c = lstm_step(x, h, c, *self.lstm)
        s = g * c.tanh()
        query = self.query(h)
        z = self.w_z((memory.keys.unsqueeze(1) + query.view(images, captions, 1, size)).tanh())
        away = self.w_z((self.look_away(s) + query).tanh())
        shares = torch.cat([z.view(-1, regions), away], 1).softmax(1)
        attention, beta = shares[:, :-1], shares[:, -1]
        seen = (attention.view(images, captions, regions) @ memory.V).flatten(0, 1)
        below = seen + beta.unsqueeze(1) * s + h
        above = []
        for layer, old in zip(self.layers, state.above.unbind(1), strict=True):
            below = layer(torch.cat([below, old], 1)).tanh()
            above.append(below)
        state = SentinelState(Layer(h, c), torch.stack(above, 1))
        return Step(self.dropout(below), state, attention, beta)

    def project(self, output: Tensor) -> Tensor:
        return self.W_p(output)


class SampledMemory(NamedTuple):
    grid: Tensor


class SampledState(NamedTuple):
    h: Tensor


class Sampled(Decoder):
    """A plain RNN that sees one region at a time (Xu et al. 2015, section 4.1)."""

    attends = True
    needs = "grid"

    def __init__(
        self, *, vocabulary_size: int, feature_size: int, hidden: int = 8, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embed = nn.Embedding(vocabulary_size, hidden)
        self.begin = nn.Linear(feature_size, hidden)
        self.where = nn.Linear(hidden, feature_size)
        self.read = nn.Linear(2 * hidden + feature_size, hidden)
        self.answer = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> SampledMemory:
        return SampledMemory(features.grid)

    def start(self, memory: SampledMemory) -> SampledState:
        return SampledState(self.begin(memory.grid.mean(1)).tanh())

    def step(self, words: Tensor, state: SampledState, memory: SampledMemory) -> Step:
        images = memory.grid.shape[0]
        query = self.where(state.h).view(images, -1, memory.grid.shape[2])
        alpha = (query @ memory.grid.transpose(1, 2)).softmax(2).flatten(0, 1)
        region = alpha.multinomial(1)[:, 0] if self.training else alpha.argmax(1)
        image = torch.arange(words.shape[0]) // (words.shape[0] // images)
        z = memory.grid[image, region]
        h = self.read(torch.cat([self.embed(words), z, state.h], 1)).tanh()
        places = torch.distributions.Categorical(alpha, validate_args=False)
        location = Location(region, places.log_prob(region), places.entropy())
        return Step(self.dropout(h), SampledState(h), alpha, location=location)

    def project(self, output: Tensor) -> Tensor:
        return self.answer(output)


class CountingMemory(NamedTuple):
    stride: Tensor


class CountingState(NamedTuple):
    """`read` (N, t): the words read so far."""

    read: Tensor


class Counting(Decoder):
    """After word `w` comes `w + stride` of the image, or `last` where that would be more.

    `sure` multiplies the scores: 0 makes all words equally probable. The image's stride is the
    first number of its pooled feature.
    """

    attends = False
    needs = "pooled"

    def __init__(self, *, vocabulary_size: int, last: int, sure: float = 1e3) -> None:
        super().__init__()
        self.size = vocabulary_size
        self.last = last
        self.sure = nn.Parameter(torch.tensor(sure, dtype=torch.float64))

    def prepare(self, features: Features) -> CountingMemory:
        return CountingMemory(features.pooled[:, 0].long())

    def start(self, memory: CountingMemory) -> CountingState:
        return CountingState(memory.stride.new_zeros(len(memory.stride), 0))

    def step(self, words: Tensor, state: CountingState, memory: CountingMemory) -> Step:
        stride = memory.stride.repeat_interleave(len(words) // len(memory.stride))
        following = (words + stride).clamp(max=self.last)
        output = nn.functional.one_hot(following, self.size).double()
        return Step(output, CountingState(torch.cat([state.read, words.unsqueeze(1)], 1)))

    def project(self, output: Tensor) -> Tensor:
        return self.sure * output


def strides(*numbers: int) -> Features:
    """Features of images whose counting goes on by so much."""
    pooled = torch.tensor(numbers, dtype=torch.float64).unsqueeze(1)
    return Features(pooled.unsqueeze(1), pooled, 1, 1)
