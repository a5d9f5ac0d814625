"""PyTorch backend: any device, any decoder, the steps as they are trained.

Shapes: `B` images, `K` captions an image, `N = B * K`, `S` side in pixels.
"""

from typing import Any

import torch

from cutline.captioner.backend import Bytes, Encoded, Started
from cutline.decoders import TORCH, Decoder
from cutline.fast import stepper
from cutline.functional import Features
from cutline.network.network import Network
from cutline.search import Scored
from cutline.search.arrays import Ints

__all__ = ["TorchBackend"]


class TorchBackend:
    """A `cutline.captioner.Backend` on a network, wherever that is."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.arrays = TORCH
        self.grid = (network.encoder.height, network.encoder.width)

    @torch.inference_mode()
    def encode(self, pixels: Bytes) -> Encoded:
        """See `Backend.encode`."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self._device)
        features = self.network.features(images)
        return Encoded(features.grid, features.pooled)

    @torch.inference_mode()
    def start(self, encoded: Encoded) -> Started:
        """See `Backend.start`."""
        decoder = self._decoder
        memory = decoder.prepare(Features(encoded.grid, encoded.pooled, *self.grid))
        return Started(memory, decoder.start(memory))

    @torch.inference_mode()
    def step(self, words: Ints, state: Any, memory: Any, *, best: int | None) -> Scored:  # noqa: ARG002
        """See `Backend.step`; all words are scored, which `TorchArrays` ranks where they are."""
        decoder = self._decoder
        step = decoder.step(torch.from_numpy(words).to(self._device), state, memory)
        return Scored(decoder.project(step.output), step.state, step.attention, step.sentinel)

    @property
    def _decoder(self) -> Decoder:
        return stepper(self.network.decoder)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device
