"""Checks of a device against the CPU: losses, gradients, captions, encoders, training, resume.

Each check is a function of a device. It returns what it found, and raises an AssertionError where
the device and the CPU differ by more than it allows. They need no test runner.

Shapes: `B` images, `K` captions an image, `T` words, `R` regions, `D` feature size, `V` vocabulary.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.drawn import END, draw
from cutline import fast
from cutline.captioner import Captioner, Encoded, generate
from cutline.captioner.folder import WEIGHTS
from cutline.config import DecoderConfig, Recipe
from cutline.decoders import Decoder, Hard, Soft, build_decoder, decoder_names
from cutline.functional import Features
from cutline.losses import word_loss
from cutline.network import Model
from cutline.training import train

__all__ = ["CHECKS", "Check"]

V, D, SIDE = 400, 96, 7
SIZES = {"embedding": 48, "hidden": 64, "attention": 32}
CLOSE = 1e-4
Check = Callable[[str], str]


class Given(NamedTuple):
    """Captions of images: features, words (B, K, T + 1), lengths (B, K)."""

    features: Features
    words: Tensor
    lengths: Tensor


def some_captions(device: str, images: int = 12, captions: int = 5) -> Given:
    """Draw features and captions of different lengths, on the CPU, and move them."""
    generator = torch.Generator().manual_seed(3)
    grid = torch.randn(images, SIDE * SIDE, D, generator=generator)
    lengths = torch.randint(4, 16, (images, captions), generator=generator)
    lengths = lengths.sort(1, descending=True).values
    lengths = lengths[lengths[:, 0].argsort(descending=True)]
    words = torch.randint(4, V, (images, captions, int(lengths.max()) + 1), generator=generator)
    words[:, :, 0] = 1
    features = Features(grid.to(device), grid.mean(1).to(device), SIDE, SIDE)
    return Given(features, words.to(device), lengths.to(device))


def decoder_of(name: str) -> Decoder:
    """Draw a small decoder without dropout; `hard` takes the expected context."""
    plain = _config(name, {})
    sizes = {key: size for key, size in SIZES.items() if key in type(plain).model_fields}
    torch.manual_seed(5)
    decoder = build_decoder(_config(name, sizes), vocabulary_size=V, feature_size=D)
    if isinstance(decoder, Hard):
        decoder.expected = 1.0  # a region drawn on a GPU is another one than on a CPU
    return decoder.train()


def loss_and_gradients(decoder: Decoder, given: Given) -> tuple[Tensor, dict[str, Tensor]]:
    """Take the loss of captions and its gradients, on the CPU."""
    decoder.zero_grad()
    read, targets = given.words[:, :, :-1], given.words[:, :, 1:].reshape(-1)
    unrolled = fast.unroll(decoder, given.features, read, given.lengths)
    scores, real = decoder.project(unrolled.distinct), targets[unrolled.places]
    loss = word_loss(scores, real, rows=unrolled.rows, per=len(real)).loss
    if unrolled.attention is not None:  # attention gets a gradient of its own
        loss = loss + unrolled.attention.square().sum() / 1000
    loss.backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad.detach().cpu() for n, p in decoder.named_parameters() if p.grad is not None}
    return loss.detach().cpu(), found


def decoders_agree(device: str) -> str:
    """Losses and gradients of every decoder, published and fast, equal the CPU's to 1e-4."""
    worst = 0.0
    for name in decoder_names():
        decoder = decoder_of(name)
        for way in (nullcontext, fast.disabled):
            with way():
                loss, gradients = loss_and_gradients(decoder.cpu(), some_captions("cpu"))
                there, moved = loss_and_gradients(decoder.to(device), some_captions(device))
            assert gradients.keys() == moved.keys(), name
            assert abs(float(loss) - float(there)) <= CLOSE * abs(float(loss)), name
            for key, gradient in gradients.items():
                far = float((gradient - moved[key]).norm() / gradient.norm().clamp(min=1e-6))
                assert far <= CLOSE, f"{name}: the gradient of {key} differs by {far:.1e}"
                worst = max(worst, far)
    return f"{len(decoder_names())} decoders, largest relative difference {worst:.1e}"


def captions_agree(device: str) -> str:
    """Beam search and greedy search say the same captions as on the CPU, on 99 of 100 images."""
    model = draw({"name": "resnet10t", "size": 64}, 300)
    decoder, encoder = model.network.decoder, model.network.encoder
    assert isinstance(decoder, Soft)
    with torch.no_grad():  # words as different in probability as those of a trained decoder
        decoder.L_o.weight.mul_(6)
        decoder.L_o.bias[END] = 0.0
    regions = encoder.height * encoder.width
    generator = torch.Generator().manual_seed(0)
    grid = 2 * torch.randn(200, regions, encoder.feature_size, generator=generator)
    said: dict[str, list[list[tuple[str, ...]]]] = {}
    for where in ("cpu", device):
        captioner = model.captioner(device=where)
        encoded = Encoded(grid.to(where), grid.mean(1).to(where))
        said[where] = [_said(captioner, encoded, beam) for beam in (1, 5)]
    shares = [
        float(np.mean([a == b for a, b in zip(here, there, strict=True)]))
        for here, there in zip(said["cpu"], said[device], strict=True)
    ]
    distinct = len(set(said["cpu"][1]))
    assert distinct > 20, "the model says too few different captions to compare anything"
    assert min(shares) >= 0.99, f"greedy {shares[0]:.1%}, beam {shares[1]:.1%} are the same"
    return f"greedy {shares[0]:.1%}, beam 5 {shares[1]:.1%} the same, {distinct} different ones"


def encoders_agree(device: str) -> str:
    """Features of an encoder, from pixels, equal the CPU's to a thousandth."""
    network = draw({"name": "resnet26", "size": 96}, 50).network
    pixels = torch.randint(0, 256, (8, 3, 96, 96), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        here = network.encoder.cpu()(pixels.to(torch.uint8))
        there = network.encoder.to(device)(pixels.to(torch.uint8).to(device))
    far = float((here.grid - there.grid.cpu()).norm() / here.grid.norm())
    assert far < 1e-3, f"the grid differs by {far:.1e}"
    return f"relative difference {far:.1e}"


def mixed_precision_learns(device: str) -> str:
    """Training in bfloat16 begins at the loss of float32, and learns captions by heart."""
    decoder = decoder_of("soft").to(device)
    given = some_captions(device, images=4)
    exact = float(loss_and_gradients(decoder, given)[0])
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        with torch.autocast(device, torch.bfloat16):
            losses.append(float(loss_and_gradients(decoder, given)[0]))
        nn.utils.clip_grad_norm_(decoder.parameters(), 5.0)
        optimizer.step()
    assert abs(losses[0] - exact) < 0.02 * exact, f"{losses[0]} in bfloat16, {exact} in float32"
    assert losses[-1] < losses[0] / 2, f"from {losses[0]:.2f} only to {losses[-1]:.2f}"
    return f"loss {losses[0]:.2f} (float32 {exact:.2f}), after 60 steps {losses[-1]:.2f}"


def training_resumes(device: str) -> str:
    """Training ended after an epoch and resumed reaches the weights of training in one go."""
    here = "cuda" if torch.cuda.is_available() else "cpu"
    assert device == here, f"training chooses {here} on this machine, not {device}"
    with TemporaryDirectory() as name, _no_graphs():
        whole = _trained(Path(name) / "whole", epochs=2)
        _trained(Path(name) / "halves", epochs=1)
        halves = _trained(Path(name) / "halves", epochs=2, resume=True)
    far = max(float((whole[key] - halves[key]).abs().max()) for key in whole)
    assert far <= CLOSE, f"weights differ by {far:.1e}"
    return f"largest difference of a weight {far:.1e}"


def _config(name: str, fields: dict[str, Any]) -> DecoderConfig:
    recipe = {"data": {"path": "scenes"}, "encoder": {"name": "resnet10t"}}
    decoder = {"name": name, "dropout": 0.0, **fields}
    return Recipe.model_validate({**recipe, "decoder": decoder}).decoder


def _said(captioner: Captioner, encoded: Encoded, beam: int) -> list[tuple[str, ...]]:
    search = captioner.search(beam=beam)
    found = generate(captioner.backend, encoded, captioner.vocabulary, search)
    return [best.words for best, *_ in found]


def _trained(out: Path, *, epochs: int, resume: bool = False) -> dict[str, Tensor]:
    """Train a small `soft` on scenes; return its last weights."""
    recipe = Recipe.model_validate(
        {
            "data": {
                "path": "scenes",
                "min_frequency": 1,
                "scenes": {"train": 96, "val": 8, "test": 8},
            },
            "encoder": {"name": "test_resnet", "weights": "random", "size": 64, "stage": 2}
            | {"trainable": "all"},
            "decoder": {"name": "soft", **SIZES},
            "training": {"epochs": epochs, "batch_size": 8, "schedule": "constant"}
            | {"warmup_steps": 0, "logger": "csv", "log_images": 0},
        }
    )
    train(recipe, out, resume=resume, say=lambda _: None)
    return load_file(out / "last" / WEIGHTS)


@contextmanager
def _no_graphs() -> Iterator[None]:
    """Save models without graphs, and caption on PyTorch: ONNX Runtime may not be there."""

    def on_torch(folder: Path, *_: object) -> Captioner:
        return Model.read(folder).captioner()

    with (
        mock.patch.dict(sys.modules, {"cutline.network.graphs": mock.Mock()}),
        mock.patch("cutline.captioner.loading._on_onnx", on_torch),
    ):
        yield


CHECKS: tuple[Check, ...] = (
    decoders_agree,
    captions_agree,
    encoders_agree,
    mixed_precision_learns,
    training_resumes,
)
