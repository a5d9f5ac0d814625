"""A backbone that is trained while its BatchNorms stay as they came.

Such a BatchNorm multiplies and adds the same for every picture, and so may the weights of the
convolution that feeds it: the pictures pass through one layer in place of two. Small batches are
the usual reason for keeping BatchNorms as they are; that training is faster is another.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cutline.encoders.backbone import Encoder
from cutline.encoders.folded import activation_of, folded, pairs

__all__ = ["keep_norms"]


def keep_norms(encoder: Encoder) -> None:
    """Keep every BatchNorm as it is: statistics, scale and shift.

    Parameters stay under their names. For training only: the change is not saved.
    """
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            replace_method(module, "train", partial(_stay, module))
            module.training = False
            module.requires_grad_(False)
    side = encoder.preprocessing.size
    with torch.no_grad():
        found = pairs(encoder, torch.zeros(1, 3, side, side, dtype=torch.uint8))
    for convolution, norm in found:
        bare = copy.deepcopy(convolution)
        replace_method(convolution, "forward", partial(_convolve, convolution, norm, bare))
        replace_method(norm, "forward", activation_of(norm))


def replace_method(module: nn.Module, name: str, method: Callable[..., Any]) -> None:
    """Replace a method of one module, not of its class; no parameter or submodule is registered."""
    module.__dict__[name] = method


def _stay(norm: nn.Module, mode: bool = True) -> nn.Module:  # noqa: ARG001
    return norm


def _convolve(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d, bare: nn.Conv2d, images: Tensor
) -> Tensor:
    """Convolve as `bare` does, with the weights that `convolution` and `norm` make together."""
    weight, bias = folded(convolution, norm)
    output: Tensor = functional_call(bare, {"weight": weight, "bias": bias}, (images,))
    return output
