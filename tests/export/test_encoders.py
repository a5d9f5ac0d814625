"""Encoders of every kind as graphs: what they see is what PyTorch sees."""

import pytest
import torch
from torch import nn

from cutline.config import EncoderConfig
from cutline.encoders import build_encoder
from support.graphs import Both, Reader, network_of, noise, written

KINDS = {
    "a tapped stage": {"name": "test_resnet", "size": 32, "stage": 2},
    "mirror images": {"name": "test_resnet", "size": 32, "stage": 2, "mirror": True},
    "a grid above its map": {"name": "test_resnet", "size": 32, "stage": 2, "grid": 7},
    "a grid below its map": {"name": "test_resnet", "size": 64, "stage": 1, "grid": 3},
    "learned positions": {"name": "test_resnet", "size": 64, "positions": True, "trainable": "all"},
    "a vision transformer": {"name": "test_vit", "size": 32},
    "a small CNN": {"name": "resnet10t", "size": 64},
}
QUICK = {"mirror images", "a vision transformer", "a grid above its map"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in KINDS
    ],
    ids=lambda name: name.replace(" ", "_"),
)
def both(request, tmp_path_factory) -> Both:
    torch.manual_seed(0)
    eyes = build_encoder(EncoderConfig(weights="random", **KINDS[request.param])).eval()
    if eyes.positions is not None:
        assert eyes.positions.abs().max() > 0
    for module in eyes.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    decoder = Reader(eyes.feature_size)
    network = network_of(decoder, eyes)
    folder = tmp_path_factory.mktemp("eyes")
    return written(folder, network, key=request.param, vocabulary_size=9)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_what_is_seen_is_what_pytorch_sees(both: Both, images: int):
    pixels = noise(images, both.size, seed=images)
    ours, theirs = both.torch.encode(pixels), both.onnx.encode(pixels)
    for wanted, found in zip(ours, theirs, strict=True):
        assert found.shape == tuple(wanted.shape)
        scale = float(wanted.abs().max())
        assert found == pytest.approx(wanted.numpy(), abs=2e-3 * scale)


def test_a_picture_is_seen_alike_alone_and_among_others(both: Both):
    pixels = noise(3, both.size)
    together = both.onnx.encode(pixels)
    for number in range(3):
        alone = both.onnx.encode(pixels[number : number + 1])
        for one, other in zip(alone, together, strict=True):
            assert one[0] == pytest.approx(other[number], abs=1e-4 * float(abs(other).max()))
