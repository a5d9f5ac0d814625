"""LSTM layers, twice: from scratch, a linear map per gate, and fused, `torch.nn.LSTM`.

    state    = lstm.start(rows)               # zeros
    h, state = lstm.step(x, state)            # one step: x (N, E), h (N, H)
    h, state = lstm(x, state)                 # a whole sequence: x (N, T, E) or a PackedSequence

`h` is the top layer's. `state` holds all layers and has a row per caption, so that rows can be
taken and repeated. With the weights copied (`copy_weights`) the two agree, packed ones included.

Shapes: `N` captions, `T` time steps, `E` input, `H` hidden state, `L` layers.
"""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from cutline.decoders.contract import first_rows, take_rows

__all__ = ["FusedLSTM", "LstmState", "ScratchCell", "ScratchLSTM", "build_lstm", "copy_weights"]

Words = TypeVar("Words", Tensor, PackedSequence)


class LstmState(NamedTuple):
    """`h` and `c` of every layer, both (N, L, H)."""

    h: Tensor
    c: Tensor


class Stacked(NamedTuple):
    """A layer's weights as `functional.lstm_step` takes them: gates in the order `i, f, o, g`."""

    Wx: Tensor
    Wh: Tensor
    b: Tensor


class ScratchCell(nn.Module):
    """One layer's step, a linear map of `[x; h]` for each gate.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.size = size
        self.input_gate = nn.Linear(size + hidden, hidden)
        self.forget_gate = nn.Linear(size + hidden, hidden)
        self.output_gate = nn.Linear(size + hidden, hidden)
        self.candidate = nn.Linear(size + hidden, hidden)
        start_like_torch(self, hidden)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """From `x` (N, E) and the states (N, H) to `(h', c')`."""
        x_h = torch.cat([x, h], 1)
        i = self.input_gate(x_h).sigmoid()
        f = self.forget_gate(x_h).sigmoid()
        o = self.output_gate(x_h).sigmoid()
        g = self.candidate(x_h).tanh()
        c = f * c + i * g
        return o * c.tanh(), c

    def stacked(self) -> Stacked:
        """Return the weights, stacked."""
        gates = self._gates()
        both = torch.cat([gate.weight.T for gate in gates], 1)
        return Stacked(both[: self.size], both[self.size :], torch.cat([g.bias for g in gates]))

    @torch.no_grad()
    def load(self, weights: Stacked) -> None:
        """Take over stacked weights."""
        both = torch.cat([weights.Wx, weights.Wh]).chunk(4, dim=1)
        for gate, weight, bias in zip(self._gates(), both, weights.b.chunk(4), strict=True):
            gate.weight.copy_(weight.T)
            gate.bias.copy_(bias)

    def _gates(self) -> list[nn.Linear]:
        return [self.input_gate, self.forget_gate, self.output_gate, self.candidate]


class Lstm(nn.Module, ABC):
    """Base of both LSTMs: a size, a state of zeros, a step and a sequence."""

    def __init__(self, *, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout

    def start(self, rows: int) -> LstmState:
        """Return zeros for `rows` captions, like the weights in type and place."""
        zeros = next(self.parameters()).new_zeros(rows, self.layers, self.hidden)
        return LstmState(zeros, zeros)

    def step(self, x: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        """Read `x` (N, E), layer by layer; return the top layer's `h` (N, H) and all states."""
        new_h, new_c = [], []
        for layer in range(self.layers):
            below = F.dropout(x, self.dropout, self.training) if layer else x
            x, c = self.cell(layer, below, state.h[:, layer], state.c[:, layer])
            new_h.append(x)
            new_c.append(c)
        return x, LstmState(torch.stack(new_h, 1), torch.stack(new_c, 1))

    @abstractmethod
    def cell(self, layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One step of one layer, `(h', c')`."""

    @abstractmethod
    def forward(self, x: Words, state: LstmState | None = None) -> tuple[Words, LstmState]:
        """Read a sequence; return `h` in the same form, and each caption's last state."""

    @abstractmethod
    def stacked(self, layer: int) -> Stacked:
        """Return a layer's weights, stacked."""

    @abstractmethod
    def load(self, layer: int, weights: Stacked) -> None:
        """Take over a layer's stacked weights."""


class ScratchLSTM(Lstm):
    """Layers of `ScratchCell`, with dropout between them."""

    def __init__(self, size: int, hidden: int, *, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(hidden=hidden, layers=layers, dropout=dropout)
        self.cells = nn.ModuleList(
            ScratchCell(hidden if layer else size, hidden) for layer in range(layers)
        )

    def cell(self, layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """See `ScratchCell`."""
        new: tuple[Tensor, Tensor] = self.cells[layer](x, h, c)
        return new

    def forward(self, x: Words, state: LstmState | None = None) -> tuple[Words, LstmState]:
        """Take one step after the other."""
        if isinstance(x, PackedSequence):
            return self._packed(x, state)
        state = state or self.start(len(x))
        outputs = []
        for x_t in x.unbind(1):
            h, state = self.step(x_t, state)
            outputs.append(h)
        return torch.stack(outputs, 1), state

    def _packed(
        self, x: PackedSequence, state: LstmState | None
    ) -> tuple[PackedSequence, LstmState]:
        """Step the captions that still have something to read, the longest first."""
        sizes = x.batch_sizes.tolist()
        state = state or self.start(sizes[0])
        if x.sorted_indices is not None:
            state = take_rows(state, x.sorted_indices)
        outputs, ended = [], []
        for x_t in torch.split(x.data, sizes):
            ended.append(LstmState(state.h[len(x_t) :], state.c[len(x_t) :]))
            h, state = self.step(x_t, first_rows(state, len(x_t)))
            outputs.append(h)
        longest_first = zip(*[state, *reversed(ended)], strict=True)
        state = LstmState(*(torch.cat(parts) for parts in longest_first))
        if x.unsorted_indices is not None:
            state = take_rows(state, x.unsorted_indices)
        return x._replace(data=torch.cat(outputs)), state

    def stacked(self, layer: int) -> Stacked:
        """See `ScratchCell.stacked`."""
        return self._cell(layer).stacked()

    def load(self, layer: int, weights: Stacked) -> None:
        """See `ScratchCell.load`."""
        self._cell(layer).load(weights)

    def _cell(self, layer: int) -> ScratchCell:
        cell = self.cells[layer]
        assert isinstance(cell, ScratchCell)
        return cell


class FusedLSTM(Lstm):
    """`torch.nn.LSTM`, whose gates stand in the order `i, f, g, o` and which has two biases."""

    def __init__(self, size: int, hidden: int, *, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(hidden=hidden, layers=layers, dropout=dropout)
        between = dropout if layers > 1 else 0.0  # with one layer there is no between, it warns
        self.lstm = nn.LSTM(size, hidden, layers, batch_first=True, dropout=between)
        start_like_torch(self.lstm, hidden)

    def cell(self, layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """`torch.lstm_cell` with a layer's weights."""
        return torch.lstm_cell(x, (h, c), *self._weights(layer))

    def forward(self, x: Words, state: LstmState | None = None) -> tuple[Words, LstmState]:
        """Hand the sequence to PyTorch, which wants the layers of a state first."""
        rows = int(x.batch_sizes[0]) if isinstance(x, PackedSequence) else len(x)
        h, c = state or self.start(rows)
        layers_first = h.transpose(0, 1).contiguous(), c.transpose(0, 1).contiguous()
        outputs, (h, c) = self.lstm(x, layers_first)
        return outputs, LstmState(h.transpose(0, 1), c.transpose(0, 1))

    def stacked(self, layer: int) -> Stacked:
        """Return a layer's weights, in our order; the two biases added."""
        w_ih, w_hh, b_ih, b_hh = self._weights(layer)
        return Stacked(_swap(w_ih.T), _swap(w_hh.T), _swap(b_ih + b_hh))

    @torch.no_grad()
    def load(self, layer: int, weights: Stacked) -> None:
        """Take over a layer's stacked weights; the second bias becomes zero."""
        w_ih, w_hh, b_ih, b_hh = self._weights(layer)
        w_ih.copy_(_swap(weights.Wx).T)
        w_hh.copy_(_swap(weights.Wh).T)
        b_ih.copy_(_swap(weights.b))
        b_hh.zero_()

    def _weights(self, layer: int) -> list[Tensor]:
        return [
            getattr(self.lstm, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]


def build_lstm(
    cell: Literal["scratch", "fused"],
    size: int,
    hidden: int,
    *,
    layers: int = 1,
    dropout: float = 0.0,
) -> Lstm:
    """Build the one that a recipe's `decoder.cell` names."""
    kind = ScratchLSTM if cell == "scratch" else FusedLSTM
    return kind(size, hidden, layers=layers, dropout=dropout)


def copy_weights(source: Lstm, target: Lstm) -> None:
    """Make `target` compute what `source` does, whichever of the two each is."""
    for layer in range(source.layers):
        target.load(layer, source.stacked(layer))


@torch.no_grad()
def start_like_torch(module: nn.Module, hidden: int) -> None:
    """Draw matrices from `U(-1/sqrt(H), 1/sqrt(H))`, as `torch.nn.LSTM` does; biases are zero."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.uniform_(-(hidden**-0.5), hidden**-0.5)
        else:
            parameter.zero_()


def _swap(stacked: Tensor) -> Tensor:
    """Exchange the last two gates of the last axis: `i, f, o, g` and PyTorch's `i, f, g, o`."""
    i, f, o, g = stacked.chunk(4, dim=-1)
    return torch.cat([i, f, g, o], -1)
