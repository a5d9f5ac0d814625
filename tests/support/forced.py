"""Hard attention that looks where it is told to, on a problem small enough to enumerate."""

from typing import Any

import torch
from torch import Tensor

from cutline.decoders import Hard

__all__ = ["D", "Forced", "R", "V", "build", "flat_gradient"]

V, D, R = 5, 3, 2


class Forced(Hard):
    """Looks where it is told to, at each step in turn."""

    def look_at(self, places: Tensor) -> None:
        self.places = iter(places.unbind(1))

    def sample(self, alpha: Tensor) -> Tensor:  # noqa: ARG002
        return next(self.places)


def build(kind: type[Hard] = Hard, **fields: Any) -> Hard:
    torch.manual_seed(3)
    decoder = kind(
        vocabulary_size=V,
        feature_size=D,
        embedding=2,
        hidden=2,
        attention=2,
        dropout=0,
        expectation=0.0,
        **fields,
    )
    decoder.double().train()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0, 1.2)
    return decoder


def flat_gradient(value: Tensor, decoder: Hard) -> Tensor:
    found = torch.autograd.grad(
        value, list(decoder.parameters()), retain_graph=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in found])
