"""Tiny networks, and their graphs in a folder, as a model has them."""

import functools
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from cutline.captioner import Backend, Encoded
from cutline.captioner.onnx import OnnxBackend
from cutline.decoders import Decoder, Step
from cutline.functional import Features
from cutline.network import Network, TorchBackend
from cutline.network.graphs import write_graphs
from cutline.network.storage import restore, squeeze

SIDE, GRID, SIZE = 16, (2, 3), 7

logging.getLogger("torch.__trace").propagate = False  # pytest would keep every line of it

# PyTorch makes its table of operators anew for each graph, which is a third of the time
ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


class Eyes(nn.Module):
    """The smallest encoder: the means of six parts of a picture, and a product."""

    height, width = GRID
    feature_size = SIZE
    preprocessing = SimpleNamespace(size=SIDE)

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Linear(3, SIZE)

    def forward(self, images: Tensor) -> Features:
        parts = nn.functional.interpolate(images / 64 - 2, GRID, mode="nearest")
        grid = self.see(parts.flatten(2).transpose(1, 2))
        return Features(grid, grid.mean(1), *GRID)


class Rows(NamedTuple):
    """What `Reader` remembers of each image or caption."""

    seen: Tensor


class Reader(Decoder):
    """The smallest decoder: it adds the word to what it has seen."""

    attends = False
    needs = "pooled"

    def __init__(self, feature_size: int, vocabulary_size: int = 9) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary_size, 8)
        self.see = nn.Linear(feature_size, 8)
        self.answer = nn.Linear(8, vocabulary_size)

    def prepare(self, features: Features) -> Rows:
        return Rows(self.see(features.pooled))

    def start(self, memory: Rows) -> Rows:
        return memory

    def step(self, words: Tensor, state: Rows, memory: Rows) -> Step:  # noqa: ARG002
        h = (self.embed(words) + state.seen).tanh()
        return Step(h, Rows(h))

    def project(self, output: Tensor) -> Tensor:
        return self.answer(output)


class Both(NamedTuple):
    """One network on both backends."""

    torch: TorchBackend
    onnx: OnnxBackend
    folder: Path
    vocabulary_size: int
    size: int

    def int8(self) -> OnnxBackend:
        return opened(self.folder, self, precision="int8")


def opened(folder: Path, both: Any, **choices: Any) -> OnnxBackend:
    return OnnxBackend(
        folder,
        size=both.size,
        vocabulary_size=both.vocabulary_size,
        grid=both.torch.grid,
        threads=1,
        **choices,
    )


def lively(network: nn.Module, seed: int = 0) -> None:
    """Weights that make numbers differ: biases away from zero, scores far apart."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in network.named_buffers():
            if "running_var" in name:
                buffer.uniform_(0.5, 2.0)
            elif "running_mean" in name:
                buffer.uniform_(-0.5, 0.5)


def written(folder: Path, network: Network, *, key: str, vocabulary_size: int, storage="float32"):
    """Write weights and graphs of a network, as `Model.save` does; return both backends.

    `key` stands for what `config.json` says of the architecture: graphs are traced once for each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = squeeze(network.state_dict(), storage)
    save_file(stored, folder / "model.safetensors")
    network.load_state_dict(restore(stored))
    eyes = network.encoder
    config = SimpleNamespace(
        model_dump_json=lambda **_: key,
        preprocessing=eyes.preprocessing,
        grid=(eyes.height, eyes.width),
        vocabulary_size=vocabulary_size,
    )
    write_graphs(folder, config, network)
    both = Both(TorchBackend(network), None, folder, vocabulary_size, eyes.preprocessing.size)
    return both._replace(onnx=opened(folder, both))


def network_of(decoder: Decoder, encoder: nn.Module | None = None) -> Network:
    network = Network(encoder or Eyes(), decoder.float()).eval().requires_grad_(False)
    lively(network)
    return network


def noise(images: int, size: int = SIDE, seed: int = 0) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return dice.integers(0, 256, (images, size, size, 3), dtype=np.uint8)


def numbers(backend: Backend, rows: Any) -> list[np.ndarray]:
    """The arrays in a state or in what is looked at, in order, nested ones too."""
    if isinstance(rows, tuple):
        return [array for part in rows for array in numbers(backend, part)]
    return [backend.arrays.numpy(rows)]


def looked(backend: Backend, pixels: np.ndarray) -> Encoded:
    return backend.encode(pixels)
