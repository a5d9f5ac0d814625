"""A network made ready to caption on a CPU: folded, laid out, in the precision asked for.

On any other device the network itself is what captions.
"""

from pathlib import Path

import torch

from cutline.captioner.network import Network
from cutline.data.cache import cache_folder
from cutline.decoders import Precision, check_precision, pack
from cutline.encoders import fold

__all__ = ["Ready"]


class Ready:
    """Keeps the network that captions, and makes it anew when the weights have changed."""

    def __init__(self, network: Network, precision: Precision) -> None:
        check_precision(precision)
        self.network = network
        self.precision = precision
        self.made: Network | None = None
        self.made_of: list[tuple[int, int]] = []

    def get(self) -> Network:
        """Return what captions."""
        if next(self.network.parameters()).device.type != "cpu":
            return self.network
        weights = [(tensor.data_ptr(), tensor._version) for tensor in self._tensors()]
        if self.made is None or weights != self.made_of:
            self.made = self._make()
            self.made_of = weights
        return self.made

    def _make(self) -> Network:
        encoder = fold(self.network.encoder)
        decoder = pack(self.network.decoder, self.precision, libraries=_libraries())
        return Network(encoder, decoder).eval()

    def _tensors(self) -> list[torch.Tensor]:
        return [*self.network.parameters(), *self.network.buffers()]


def _libraries() -> Path | None:
    """Return where libraries are kept, if there is such a place: a user may have no home."""
    try:
        return cache_folder() / "native"
    except RuntimeError:
        return None
