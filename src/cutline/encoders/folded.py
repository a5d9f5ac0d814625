"""An encoder made ready to look: each BatchNorm folded into the convolution before it.

In evaluation a BatchNorm multiplies and adds the same numbers for every picture, and so may the
convolution that feeds it. Which one that is, is found out by sending a picture through, so that
any backbone will do; and what comes out is compared, so that none is folded wrongly.

A convolution of 1x1 is a product of every place with the same weight. With few pictures and one
thread PyTorch does it half as fast as its own products can be, so they do it.
"""

import copy
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cutline.encoders.backbone import Encoder
from cutline.functional.products import Product, lay_out

__all__ = ["activation_of", "fold", "folded", "pairs"]

TOLERANCE = 1e-3  # of the largest feature

log = logging.getLogger(__name__)


@torch.no_grad()
def fold(encoder: Encoder) -> Encoder:
    """Return a copy of `encoder` for looking only.

    Where folding would change the features, the copy is as it was. On a CPU.
    """
    ready: Encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
    side = encoder.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (1, 3, side, side), dtype=torch.uint8, generator=generator)
    noise = noise.to(encoder.scale.device)
    wanted = ready(noise).grid
    if not _folds(ready, noise, wanted):
        name = type(encoder.backbone).__name__
        log.warning("%s cannot be folded: it looks as it was built.", name)
        ready = copy.deepcopy(encoder).eval().requires_grad_(False)
    return ready


def _folds(encoder: Encoder, picture: Tensor, wanted: Tensor) -> bool:
    """Fold, and say whether the features have stayed what they were."""
    try:
        _fold_all(encoder, picture)
        _multiply_places(encoder)
        found = encoder(picture).grid
    except RuntimeError:
        return False
    return bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max())


def _fold_all(encoder: Encoder, picture: Tensor) -> None:
    for convolution, norm in pairs(encoder, picture):
        weight, bias = folded(convolution, norm)
        convolution.weight.copy_(weight)
        convolution.bias = nn.Parameter(bias, requires_grad=False)
        norm.__dict__["forward"] = activation_of(norm)


def _multiply_places(encoder: Encoder) -> None:
    """Do the convolutions of 1x1 as products."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d) and _sees_single_places(module):
            product = lay_out(module.weight.flatten(1), module.bias)
            module.__dict__["forward"] = partial(_places, product)


def _sees_single_places(convolution: nn.Conv2d) -> bool:
    one = (1, 1)
    shape = (convolution.kernel_size, convolution.stride, convolution.padding, convolution.groups)
    return shape == (one, one, (0, 0), 1)


def _places(product: Product, images: Tensor) -> Tensor:
    """Multiply each place of images (B, D, h, w)."""
    return product(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias that do what `convolution` and `norm` do one by one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    shift = shift if norm.bias is None else shift + norm.bias
    bias = shift if convolution.bias is None else shift + scale * convolution.bias
    return convolution.weight * scale.view(-1, 1, 1, 1), bias


def pairs(encoder: Encoder, picture: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Send a picture through; return each BatchNorm with the convolution that feeds it alone."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    taken: set[nn.Conv2d] = set()

    def after(module: nn.Module, _: Any, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)  # kept, so that its id is not given away

    def before(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        fed = made.get(id(given[0]))
        if isinstance(module, nn.BatchNorm2d) and fed is not None and fed[0] not in taken:
            taken.add(fed[0])
            pairs.append((fed[0], module))

    hooks = [module.register_forward_hook(after) for module in encoder.modules()]
    hooks += [module.register_forward_pre_hook(before) for module in encoder.modules()]
    encoder(picture)
    for hook in hooks:
        hook.remove()
    return pairs


def activation_of(norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """Keep the activation that a BatchNorm of timm's may have behind it."""
    parts = [part for name in ("drop", "act") if (part := getattr(norm, name, None)) is not None]
    left = nn.Sequential(*(part for part in parts if not isinstance(part, nn.Identity)))
    return left.forward
