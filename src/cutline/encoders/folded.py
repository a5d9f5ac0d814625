"""BatchNorm folding: a frozen BatchNorm as part of the convolution that feeds it."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from cutline.encoders.backbone import Encoder

__all__ = ["activation_of", "folded", "pairs"]


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
