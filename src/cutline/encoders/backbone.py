"""A timm backbone as an encoder.

Shapes: `B` images, `S` side in pixels, `R = h * w` regions, `D` feature size.
"""

from contextlib import suppress
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from cutline.config import EncoderConfig, LastStages
from cutline.encoders.weights import load_weights
from cutline.errors import UsageError, did_you_mean
from cutline.functional import Features
from cutline.preprocessing import Preprocessing

__all__ = ["Encoder", "build_encoder"]

# arguments of timm.create_model that would load weights, pickled ones too
_NOT_OPTIONS = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"}


class Encoder(nn.Module):
    """Turns pictures (B, 3, S, S), bytes in RGB, into `Features`.

    `stage` taps one of the backbone's intermediate stages, which is then its last; without it the
    backbone's final features are used. With `positions` a learned vector is added to each region,
    so that a small backbone can tell left from right. The pooled feature is the mean of the grid.
    Frozen parts keep their BatchNorm statistics and take no gradient.
    """

    scale: Tensor
    offset: Tensor
    positions: nn.Parameter | None

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing,
        *,
        stage: int | None = None,
        trainable: int | None = 0,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.preprocessing = preprocessing
        self.stage = stage
        scale, offset = preprocessing.scale()
        self.register_buffer("scale", torch.from_numpy(scale).view(3, 1, 1), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).view(3, 1, 1), persistent=False)
        self.frozen = _freeze(backbone, trainable, stage)
        self.positions = None
        self.height, self.width, self.feature_size = self._measure()
        if positions:
            regions = self.height * self.width
            self.positions = nn.Parameter(0.3 * torch.randn(regions, self.feature_size))

    def forward(self, images: Tensor) -> Features:
        """Encode pictures (B, 3, S, S) of bytes."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains):
            pixels = images.contiguous(memory_format=torch.channels_last)
            grid = self._grid(pixels * self.scale + self.offset)
        height, width = grid.shape[-2:]
        grid = grid.flatten(2).transpose(1, 2)
        if self.positions is not None:
            grid = grid + self.positions
        return Features(grid, grid.mean(1), height, width)

    @property
    def trains(self) -> bool:
        """Whether any part is trained."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def train(self, mode: bool = True) -> "Encoder":
        """Switch to training, but for what is frozen."""
        super().train(mode)
        for module in self.frozen:
            module.training = False  # this one only: its children may belong to a later stage
        return self

    def _grid(self, images: Tensor) -> Tensor:
        backbone: Any = self.backbone
        if self.stage is not None:
            kept: list[Tensor] = backbone.forward_intermediates(
                images,
                indices=[self.stage],
                output_fmt="NCHW",
                intermediates_only=True,
                stop_early=True,
            )
            return kept[0]
        grid: Tensor = backbone.forward_features(images)
        if grid.ndim == 4 and not _channels_last(backbone):
            return grid
        if grid.ndim == 4:
            return grid.permute(0, 3, 1, 2)
        tokens = grid[:, getattr(backbone, "num_prefix_tokens", 0) :]
        height, width = backbone.patch_embed.grid_size
        return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)

    def _measure(self) -> tuple[int, int, int]:
        training = self.training
        side = self.preprocessing.size
        with torch.no_grad():
            features = self.eval()(torch.zeros(1, 3, side, side))
        self.train(training)
        return features.height, features.width, features.grid.shape[2]


def build_encoder(config: EncoderConfig, *, preprocessing: Preprocessing | None = None) -> Encoder:
    """Build the encoder that `config` describes.

    With the `preprocessing` of a saved model the weights are left as drawn, because the model's own
    will be loaded. An unknown backbone, or weights that cannot be had, is a `UsageError`.
    """
    if not timm.is_model(config.name):
        raise UsageError(f"timm has no model '{config.name}'; {_similar(config.name)}")
    backbone = _create(config)
    if preprocessing is None:
        preprocessing = _preprocessing(backbone, config)
        if config.weights != "random":
            load_weights(backbone, config)
    stage = _check_stage(backbone, config)
    if stage is not None:
        backbone.prune_intermediate_layers([stage])
    try:
        return Encoder(
            backbone,
            preprocessing,
            stage=stage,
            trainable=_trainable(config),
            positions=config.positions,
        )
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise UsageError(
            f"{config.name} gives no grid of features for pictures of {preprocessing.size} pixels "
            f"({error}); choose another encoder.name or encoder.size."
        ) from None


def _create(config: EncoderConfig) -> Any:
    if taken := sorted(_NOT_OPTIONS & set(config.options)):
        raise UsageError(
            f"encoder.options has '{taken[0]}', which chooses weights; give encoder.weights."
        )
    sized = {} if config.size is None else {"img_size": config.size}
    try:
        with suppress(TypeError):  # transformers must be told their input size, many take any
            return timm.create_model(config.name, num_classes=0, **{**sized, **config.options})
        return timm.create_model(config.name, num_classes=0, **config.options)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        options = f" with encoder.options {config.options}" if config.options else ""
        reason = (str(error) or type(error).__name__).rstrip(".")
        raise UsageError(f"timm cannot build {config.name}{options}: {reason}.") from None


def _preprocessing(backbone: nn.Module, config: EncoderConfig) -> Preprocessing:
    data = resolve_model_data_config(backbone)
    return Preprocessing(
        size=config.size or data["input_size"][-1],
        resize=config.resize,
        interpolation=data["interpolation"],
        mean=data["mean"],
        std=data["std"],
    )


def _trainable(config: EncoderConfig) -> int | None:
    """Return how many of the last stages are trained; None is all of the backbone."""
    if isinstance(config.trainable, LastStages):
        return config.trainable.last_stages
    return None if config.trainable == "all" else 0


def _freeze(backbone: nn.Module, trainable: int | None, stage: int | None) -> list[nn.Module]:
    """Freeze all but the last `trainable` stages; return the frozen modules."""
    if trainable is None:
        return []
    stages = _stages(backbone, stage)
    frozen = [module for stage in stages[: max(0, len(stages) - trainable)] for module in stage]
    for module in frozen:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
    return frozen


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


def _channels_last(backbone: nn.Module) -> bool:
    return getattr(backbone, "output_fmt", "NCHW") == "NHWC"


def _similar(name: str) -> str:
    hint = did_you_mean(name, timm.list_models()).partition("Allowed")[0]
    return f"{hint}See timm.list_models()." if hint else "see timm.list_models()."


def _check_stage(backbone: Any, config: EncoderConfig) -> int | None:
    if config.stage is None:
        return None
    stages = len(getattr(backbone, "feature_info", []))
    if not hasattr(backbone, "forward_intermediates") or not -stages <= config.stage < stages:
        raise UsageError(
            f"encoder.stage is {config.stage}, but {config.name} has {stages} stages: "
            f"give 0 to {stages - 1}, or leave it out for the final features."
        )
    return config.stage % stages  # from the front: the backbone is about to be cut behind it
