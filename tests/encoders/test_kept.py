"""A backbone whose BatchNorms stay as they are: the same features and gradients, fewer layers."""

import copy

import pytest
import torch
from test_folded import lived_in
from torch import nn

from cutline.encoders import Encoder, keep_norms
from support.eyes import noise

NAMES = ["resnet10t", "tf_efficientnet_lite0", "vgg11_bn"]


def by_hand(encoder: Encoder) -> Encoder:
    """The same, layer by layer: BatchNorms in evaluation that take no gradient."""
    plain = copy.deepcopy(encoder).train()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
    return plain


def let_go(encoder: Encoder) -> Encoder:
    encoder.requires_grad_(True)
    encoder.frozen = []
    return encoder


def gradients(encoder: Encoder) -> dict[str, torch.Tensor]:
    grid = encoder(noise(encoder)).grid
    weights = torch.linspace(-1, 1, grid.numel()).view(grid.shape)
    (grid * weights).sum().backward()
    return {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", NAMES)
def test_features_and_gradients_are_those_of_the_layers_one_by_one(name: str):
    encoder = let_go(lived_in(name))
    plain = by_hand(encoder)
    keep_norms(encoder)
    encoder.train()
    wanted, found = gradients(plain), gradients(encoder)
    assert found.keys() == wanted.keys()
    assert not any("bn" in key for key in found)
    for key, gradient in wanted.items():
        assert (found[key] - gradient).norm() < 1e-3 * gradient.norm() + 1e-7, key


def test_statistics_stay_and_names_too():
    encoder = let_go(lived_in("resnet10t"))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    keep_norms(encoder)
    encoder.train()
    encoder(noise(encoder))
    after = encoder.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_a_copy_learns_by_itself():
    encoder = let_go(lived_in("resnet10t"))
    keep_norms(encoder)
    copied = copy.deepcopy(encoder)
    seen = noise(encoder)
    before = encoder(seen).grid
    with torch.no_grad():
        for weight in copied.parameters():
            weight.mul_(1.1)
    assert torch.equal(encoder(seen).grid, before)
    assert not torch.allclose(copied(seen).grid, before, rtol=1e-3)


def test_what_was_trained_so_sees_the_same_when_it_is_loaded():
    encoder = let_go(lived_in("resnet10t"))
    fresh = copy.deepcopy(encoder)
    keep_norms(encoder)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(1.01)
    fresh.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        seen = noise(encoder)
        found, wanted = fresh.eval()(seen).grid, encoder.eval()(seen).grid
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
