"""A convolution and the BatchNorm behind it are one convolution, whatever the backbone."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from cutline.config import EncoderConfig
from cutline.encoders import Encoder, build_encoder
from cutline.encoders.folded import folded, pairs

NAMES = ["resnet10t", "tf_efficientnet_lite0", "regnetx_002", "vgg11_bn"]


def lived_in(name: str) -> Encoder:
    """An encoder whose BatchNorms have seen something."""
    torch.manual_seed(0)
    encoder = build_encoder(EncoderConfig(name=name, weights="random", size=64)).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return encoder


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_every_batch_norm_folds_into_the_convolution_that_feeds_it(name: str):
    encoder = lived_in(name)
    found = pairs(encoder, torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8))
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm for _, norm in found} == set(norms)
    for convolution, norm in found:
        channels = convolution.in_channels
        seen = torch.randn(2, channels, 9, 9)
        wanted = F.batch_norm(
            convolution(seen), norm.running_mean, norm.running_var, norm.weight, norm.bias,
            eps=norm.eps,
        )  # fmt: skip
        weight, bias = folded(convolution, norm)
        together = functional_call(convolution, {"weight": weight, "bias": bias}, (seen,))
        assert (together - wanted).abs().max() < 1e-4 * wanted.abs().max()
