"""A decoder of each kind, for every test that asks for one."""

import pytest
import torch

from cutline.decoders import Decoder
from support.suite import BUILDERS, Build


@pytest.fixture(params=BUILDERS, ids=lambda name: name.replace(" ", "_"))
def build(request: pytest.FixtureRequest) -> Build:
    torch.manual_seed(0)
    return BUILDERS[request.param]


@pytest.fixture
def decoder(build: Build) -> Decoder:
    """Tiny, in double precision, without dropout, its normalisation away from where it starts."""
    decoder = build().double().eval()
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return decoder
