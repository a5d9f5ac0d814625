"""A projection of the encoder's features before any decoder: linear, then BatchNorm.

Shapes: `B` images, `R` regions, `D` feature size, `P` projected size.
"""

from typing import Any

from torch import Tensor, nn

from cutline.decoders.contract import Decoder, Step
from cutline.functional import Features

__all__ = ["Head", "Headed"]


class Head(nn.Module):
    """Maps `Features` of size `D` to size `P`; the pooled feature is the mean of the new grid."""

    def __init__(self, feature_size: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(feature_size, size, bias=False)
        self.norm = nn.BatchNorm1d(size)

    def forward(self, features: Features) -> Features:
        """Project the grid (B, R, D) to (B, R, P)."""
        grid = self.linear(features.grid)
        grid = self.norm(grid.flatten(0, 1)).view_as(grid)
        return features._replace(grid=grid, pooled=grid.mean(1))


class Headed(Decoder):
    """Any decoder behind a `Head`."""

    def __init__(self, head: Head, decoder: Decoder) -> None:
        super().__init__()
        self.head = head
        self.decoder = decoder
        self.attends = decoder.attends  # type: ignore[misc]
        self.needs = decoder.needs  # type: ignore[misc]

    def begin_epoch(self, epoch: int) -> None:
        """See the decoder."""
        self.decoder.begin_epoch(epoch)

    def prepare(self, features: Features) -> Any:
        """Project, then prepare."""
        return self.decoder.prepare(self.head(features))

    def start(self, memory: Any) -> Any:
        """See the decoder."""
        return self.decoder.start(memory)

    def step(self, words: Tensor, state: Any, memory: Any) -> Step:
        """See the decoder."""
        return self.decoder.step(words, state, memory)

    def project(self, output: Tensor) -> Tensor:
        """See the decoder."""
        return self.decoder.project(output)

    def word_embedding(self) -> nn.Embedding | None:
        """See the decoder."""
        return self.decoder.word_embedding()

    def without_draws(self) -> "Headed":
        """See the decoder."""
        decoder = self.decoder.without_draws()
        return self if decoder is self.decoder else Headed(self.head, decoder).train(self.training)
