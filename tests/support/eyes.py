"""Encoders with random weights, and what the tests look at of them."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import normalize

from cutline.config import EncoderConfig
from cutline.encoders import Encoder, build_encoder
from cutline.errors import UsageError


def build(name: str = "test_resnet", **fields) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(EncoderConfig(name=name, **{"weights": "random", **fields}))


def refusal(name: str = "test_resnet", **fields) -> str:
    with pytest.raises(UsageError) as caught:
        build(name, **fields)
    return str(caught.value)


def noise(encoder: Encoder, images: int = 2) -> Tensor:
    side = encoder.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8, generator=generator)


def normalised(encoder: Encoder, images: Tensor) -> Tensor:
    settings = encoder.preprocessing
    return normalize(images / 255, settings.mean, settings.std)


def trained(encoder: Encoder, depth: int = 2) -> list[str]:
    """The parts of the backbone with a parameter that trains, in order."""
    names = [name for name, p in encoder.backbone.named_parameters() if p.requires_grad]
    return list(dict.fromkeys(".".join(name.split(".")[:depth]) for name in names))


def statistics(encoder: Encoder) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in encoder.state_dict().items() if "running_mean" in k}


def responds(encoder: Encoder, row: int, column: int) -> tuple[int, int]:
    """The region that changes most where a bright patch appears in one corner of a grey picture."""
    side = encoder.preprocessing.size
    plain = torch.full((1, 3, side, side), 127, dtype=torch.uint8)
    spotted = plain.clone()
    top, left = row * side * 3 // 4, column * side * 3 // 4
    spotted[..., top : top + side // 4, left : left + side // 4] = 255
    with torch.no_grad():
        change = (encoder(spotted).grid - encoder(plain).grid).norm(dim=2)[0]
    return divmod(int(change.argmax()), encoder.width)
