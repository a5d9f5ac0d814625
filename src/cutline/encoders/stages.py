"""Stages of a backbone: which one is tapped, and which ones are trained.

timm divides every backbone into stages, and `encoder.stage` counts them. VGG19's sixth is nothing
but its last pooling: a stage without parameters is none that could be trained.
"""

from typing import Any

from torch import nn

from cutline.config import EncoderConfig, LastStages
from cutline.errors import UsageError

__all__ = ["freeze", "tap", "trained_stages"]


def tap(backbone: Any, config: EncoderConfig) -> int | None:
    """Cut what lies behind `encoder.stage` off; return the stage, counted from the front.

    Without a stage the final features are used, and only what serves to classify is cut off.
    """
    if config.stage is None:
        if hasattr(backbone, "pre_logits"):  # VGG's 120 million weights behind its features
            backbone.pre_logits = nn.Identity()
        return None
    stages = len(getattr(backbone, "feature_info", []))
    if not hasattr(backbone, "forward_intermediates") or not -stages <= config.stage < stages:
        raise UsageError(
            f"encoder.stage is {config.stage}, but {config.name} has {stages} stages: "
            f"give 0 to {stages - 1}, or leave it out for the final features."
        )
    stage = config.stage % stages  # from the front: the backbone is about to be cut behind it
    backbone.prune_intermediate_layers([stage], prune_norm=True)
    return stage


def trained_stages(config: EncoderConfig) -> int | None:
    """Return how many of the last stages are trained; None is all of the backbone."""
    if isinstance(config.trainable, LastStages):
        return config.trainable.last_stages
    return None if config.trainable == "all" else 0


def freeze(backbone: nn.Module, trainable: int | None, stage: int | None) -> list[nn.Module]:
    """Freeze all but the last `trainable` stages up to `stage`; return the frozen modules."""
    if trainable is None:
        return []
    stages = [part for part in _stages(backbone, stage) if _own_parameters(part)]
    trained = {module for part in stages[max(0, len(stages) - trainable) :] for module in part}
    frozen = [module for module in backbone.modules() if module not in trained]
    for parameter in _own_parameters(frozen):
        parameter.requires_grad_(False)
    return frozen


def _own_parameters(modules: list[nn.Module]) -> list[nn.Parameter]:
    """Return the modules' parameters without those of their children, who may be of another stage.

    A transformer's class token is the backbone's own, and so of the first stage.
    """
    return [parameter for module in modules for parameter in module.parameters(recurse=False)]


def _stages(backbone: nn.Module, last: int | None) -> list[list[nn.Module]]:
    """Divide the backbone's modules into timm's stages, the ones that `encoder.stage` counts.

    Stages past the `last` one are not used. What comes before the first stage belongs to it, what
    comes after the last one to that.
    """
    ends = [info["module"] for info in getattr(backbone, "feature_info", [])] or [""]
    ends = ends if last is None else ends[: last + 1]
    stages: list[list[nn.Module]] = [[] for _ in ends]
    current, entered = 0, False
    for name, module in backbone.named_modules():
        inside = f"{name}.".startswith(f"{ends[current]}.")
        if entered and not inside and current + 1 < len(ends):
            current += 1
            inside = f"{name}.".startswith(f"{ends[current]}.")
            entered = False
        entered = entered or inside
        stages[current].append(module)
    return stages
