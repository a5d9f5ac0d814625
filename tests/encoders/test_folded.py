"""A folded encoder gives the same features, whatever the backbone, and leaves the first alone."""

import pytest
import torch
from torch import nn

from cutline.config import EncoderConfig
from cutline.encoders import Encoder, build_encoder, fold
from cutline.encoders.folded import pairs

NAMES = [
    "resnet10t",
    "tf_efficientnet_lite0",
    "regnetx_002",
    "vgg11_bn",
    "vgg11",
    "vit_tiny_patch16_224",
]


def lived_in(name: str) -> Encoder:
    """An encoder whose BatchNorms have seen something."""
    torch.manual_seed(0)
    size = None if name.startswith("vit") else 64
    encoder = build_encoder(EncoderConfig(name=name, weights="random", size=size)).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return encoder


def pictures(encoder: Encoder) -> torch.Tensor:
    side = encoder.preprocessing.size
    return torch.randint(256, (2, 3, side, side), dtype=torch.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_features_stay_what_they_were(name: str):
    encoder = lived_in(name)
    seen = pictures(encoder)
    with torch.inference_mode():
        wanted = encoder(seen)
        folded = fold(encoder)
        found, again = folded(seen), encoder(seen)
    assert (found.grid - wanted.grid).abs().max() < 1e-4 * wanted.grid.abs().max()
    assert torch.equal(again.grid, wanted.grid)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    left = sum("forward" in vars(norm) for norm in norms)
    assert left == len(norms)


def test_what_would_change_the_features_is_not_folded(monkeypatch, caplog):
    encoder = lived_in("resnet10t")

    def mistaken(ready: Encoder, picture: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Take two BatchNorms of one size for each other."""
        found = pairs(ready, picture)
        sizes = [norm.num_features for _, norm in found]
        a, b = next((i, j) for j, size in enumerate(sizes) for i in range(j) if sizes[i] == size)
        swapped = {a: found[b][1], b: found[a][1]}
        return [(one, swapped.get(place, norm)) for place, (one, norm) in enumerate(found)]

    monkeypatch.setattr("cutline.encoders.folded.pairs", mistaken)
    seen = pictures(encoder)
    with torch.inference_mode():
        assert torch.equal(fold(encoder)(seen).grid, encoder(seen).grid)
    assert "cannot be folded" in caplog.text
