"""Something else in the place of a decoder's weights, without a word of it in the decoder.

A decoder multiplies with `x @ W`, `nn.Linear` and `nn.Embedding` only, so whatever answers to these
can stand in for its weights: `deferred` while it trains, `packed` while it captions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from cutline.decoders.contract import Decoder
from cutline.decoders.lstm import FusedLSTM
from cutline.functional import lstm_step

__all__ = ["stand_in", "standing_in"]

Forward = Callable[[Tensor], Tensor]


@contextmanager
def standing_in(
    decoder: Decoder,
    *,
    matrix: Callable[[Tensor], Any],
    linear: Callable[[nn.Linear], Forward],
    embedding: Callable[[nn.Embedding], Forward] | None = None,
) -> Iterator[None]:
    """Let others stand in for the weights, and call them back at the end."""
    undo = stand_in(decoder, matrix=matrix, linear=linear, embedding=embedding)
    try:
        yield
    finally:
        undo()


def stand_in(
    decoder: Decoder,
    *,
    matrix: Callable[[Tensor], Any],
    linear: Callable[[nn.Linear], Forward],
    embedding: Callable[[nn.Embedding], Forward] | None = None,
) -> Callable[[], None]:
    """Put stand-ins before the weights; return what takes them away.

    Args:
        decoder: its parameters, their names and gradients stay what and where they are.
        matrix: from a parameter (I, O) to what answers to `x @ W`.
        linear: from a layer to its new `forward`.
        embedding: likewise; by default it stays.
    """
    placed: list[tuple[nn.Module, str]] = []

    def place(module: nn.Module, name: str, other: Any) -> None:
        # an attribute of the instance is found before a parameter or the method of the class
        module.__dict__[name] = other
        placed.append((module, name))

    for module in decoder.modules():
        if isinstance(module, nn.Linear):
            place(module, "forward", linear(module))
        elif isinstance(module, nn.Embedding):
            if embedding is not None:
                place(module, "forward", embedding(module))
        elif isinstance(module, FusedLSTM):
            place(module, "cell", _cell(module, matrix))
        elif not isinstance(module, nn.LSTM):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 2:
                    place(module, name, matrix(parameter))

    def undo() -> None:
        for module, name in placed:
            del module.__dict__[name]

    return undo


def _cell(lstm: FusedLSTM, matrix: Callable[[Tensor], Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Take the steps of an LSTM whose weights are in the hands of a kernel of PyTorch's."""
    layers = [lstm.stacked(layer) for layer in range(lstm.layers)]
    stand_ins = [(matrix(layer.Wx), matrix(layer.Wh), layer.b) for layer in layers]

    def cell(layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return lstm_step(x, h, c, *stand_ins[layer])

    return cell
