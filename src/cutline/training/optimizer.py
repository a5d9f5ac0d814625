"""Optimiser of a network: the decoder and the encoder, each with a learning rate of its own."""

from typing import Any, NamedTuple

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from cutline.config import Recipe
from cutline.network import Network

__all__ = ["Optimization", "build_optimizer"]

Parts = tuple[tuple[str, nn.Module, float], ...]


class Optimization(NamedTuple):
    """An optimiser, and which part of the network each of its groups of parameters is of."""

    optimizer: Optimizer
    parts: list[str]

    def learning_rates(self) -> dict[str, float]:
        """Return the learning rate of the next step, by part: `decoder`, `encoder`."""
        groups = self.optimizer.param_groups
        return {part: group["lr"] for part, group in zip(self.parts, groups, strict=True)}


def build_optimizer(network: Network, recipe: Recipe) -> Optimization:
    """Build the optimiser that `training.optimizer` names; only matrices decay.

    `AdamW` decays weights apart from the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101),
    the others add `weight_decay * w` to it.
    """
    training = recipe.training
    parts: Parts = (
        ("decoder", network.decoder, training.learning_rate),
        ("encoder", network.encoder, recipe.encoder.learning_rate),
    )
    groups: list[dict[str, Any]] = []
    names: list[str] = []
    for name, part, rate in parts:
        trained = [p for p in part.parameters() if p.requires_grad]
        for matrices, decay in ((True, training.weight_decay), (False, 0.0)):
            chosen = [p for p in trained if (p.ndim > 1) == matrices]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
                names.append(name)
    return Optimization(_optimizer(groups, recipe), names)


def _optimizer(groups: list[dict[str, Any]], recipe: Recipe) -> Optimizer:
    training = recipe.training
    # fused: one pass over the weights; but it would unscale half precision's gradients itself
    fused = training.precision != "16-mixed"
    rate = training.learning_rate
    match training.optimizer:
        case "AdamW":
            return AdamW(groups, lr=rate, fused=fused)
        case "Adam":
            return Adam(groups, lr=rate, fused=fused)
        case "SGD":
            return SGD(groups, lr=rate, momentum=training.momentum, fused=fused)
        case "RMSprop":
            return RMSprop(groups, lr=rate, momentum=training.momentum)
