"""Encoder: a timm backbone that turns pictures into a grid of features.

Shapes: `B` images, `S` side in pixels, `R = h * w` regions, `D` feature size.
"""

import math
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.config import EncoderConfig
from cutline.encoders.stages import freeze, tap, trained_stages
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
    so that a small backbone can tell left from right. With `grid` the map is averaged over `grid x
    grid` regions by adaptive pooling, which repeats what a smaller map has (7x7 becomes 14x14 as in
    most re-implementations of Show, Attend and Tell). The pooled feature is what the backbone's own
    classifier would read (of a vision transformer: the class token, which is no region) where that
    has the size of a region, and otherwise the mean of the grid. With `mirror` both are the mean of
    what it sees of a picture and of its mirror image, turned back, but not while it trains. Frozen
    parts keep their BatchNorm statistics and take no gradient; an encoder on `hold` is frozen as a
    whole. One that is built on PyTorch's `meta` device has no sizes until it is told to `settle`.
    """

    height: int
    width: int
    feature_size: int
    kept_height: int  # of the map that `pack` keeps: the smaller one, before or after pooling
    kept_width: int

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
        mirror: bool = False,
        grid: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.preprocessing = preprocessing
        self.stage = stage
        self.mirror = mirror
        self.grid = grid
        scale, offset = preprocessing.scale()
        self.register_buffer("scale", torch.from_numpy(scale).view(3, 1, 1), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).view(3, 1, 1), persistent=False)
        self.frozen = freeze(backbone, trainable, stage)
        self.held = False
        self.positions = None
        self.pools = False
        self.positioned = positions
        if not any(parameter.is_meta for parameter in backbone.parameters()):
            self.settle()

    @torch.no_grad()
    def settle(self) -> None:
        """Send an empty picture through, to learn the grid's size and what the pooled feature is.

        Of an encoder without weights, once it has some.
        """
        training = self.training
        side = self.preprocessing.size
        images = torch.zeros(1, 3, side, side)
        self.eval()
        if self.stage is None:
            final = self.backbone.forward_features(images)  # type: ignore[operator]
            self.pools = _pools(self.backbone, final.shape)
            places = _places(self.backbone, final)
        else:
            places, _ = self._look(images)
        self.train(training)
        self.feature_size, *own = places.shape[1:]
        grid = [self.grid, self.grid] if self.grid else own
        self.height, self.width = grid
        self.kept_height, self.kept_width = grid if math.prod(grid) < math.prod(own) else own
        if self.positioned:
            regions = self.height * self.width
            self.positions = nn.Parameter(0.3 * torch.randn(regions, self.feature_size))

    def forward(self, images: Tensor) -> Features:
        """Encode pictures (B, 3, S, S) of bytes."""
        with self._gradient():
            return self._features(*self._see(images))

    def _gradient(self) -> AbstractContextManager[Any]:
        """Record a gradient where some part is trained now; in a graph there is none."""
        if torch.compiler.is_exporting():
            return nullcontext()
        return torch.set_grad_enabled(torch.is_grad_enabled() and self.trains and not self.held)

    @property
    def trains(self) -> bool:
        """Return whether any part is trained, now or later."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def hold(self, held: bool) -> None:
        """Freeze the encoder as a whole, statistics included, or let go of what is trained."""
        self.held = held
        self.train()

    def train(self, mode: bool = True) -> "Encoder":
        """Switch to training, but for what is frozen."""
        super().train(mode and not self.held)
        for module in self.frozen:
            module.training = False  # this one only: its children may belong to a later stage
        return self

    @property
    def table(self) -> tuple[int, int]:
        """The shape of `pack`'s table for one picture."""
        return self.kept_height * self.kept_width + self.pools, self.feature_size

    def pack(self, images: Tensor) -> Tensor:
        """Encode pictures (B, 3, S, S) of bytes into one table (B, R, D), to be unpacked.

        A pooled feature that is no mean stands in a last row.
        """
        with self._gradient():
            places, pooled = self._see(images)
            places = self._pool(places, (self.kept_height, self.kept_width))
            last = [pooled.unsqueeze(1)] if pooled is not None else []
            return torch.cat([places.flatten(2).transpose(1, 2), *last], 1)

    def unpack(self, table: Tensor) -> Features:
        """Make features of what `pack` gave."""
        side = (self.kept_height, self.kept_width)
        places = table[:, : math.prod(side)].transpose(1, 2).reshape(-1, self.feature_size, *side)
        return self._features(places, table[:, -1] if self.pools else None)

    def _see(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the map (B, D, h, w), and the pooled feature unless it is the grid's mean."""
        mirrored = self.mirror and not (self.training or self.held)
        if mirrored:
            images = torch.cat([images, images.flip(3)])
        if not torch.compiler.is_exporting():  # a graph has no memory format
            images = images.contiguous(memory_format=torch.channels_last)
        with _exact(images.device):
            places, pooled = self._look(images * self.scale + self.offset)
        return _mean_of_both(places, pooled) if mirrored else (places, pooled)

    def _features(self, places: Tensor, pooled: Tensor | None) -> Features:
        places = self._pool(places, (self.height, self.width))
        grid = places.flatten(2).transpose(1, 2)
        if self.positions is not None:
            grid = grid + self.positions
        return Features(grid, grid.mean(1) if pooled is None else pooled, self.height, self.width)

    def _pool(self, places: Tensor, side: tuple[int, int]) -> Tensor:
        """Average a map (B, D, h, w) over a grid of this side, if it has another."""
        return places if places.shape[2:] == side else F.adaptive_avg_pool2d(places, side)

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the grid (B, D, h, w), and the pooled feature unless it is the grid's mean."""
        backbone: Any = self.backbone
        if self.stage is None:
            final = backbone.forward_features(images)
            pooled = backbone.forward_head(final, pre_logits=True) if self.pools else None
            return _places(backbone, final), pooled
        kept: list[Tensor] = backbone.forward_intermediates(
            images,
            indices=[self.stage],
            output_fmt="NCHW",
            intermediates_only=True,
            stop_early=True,
        )
        return kept[0], None


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
    stage = tap(backbone, config)
    try:
        return Encoder(
            backbone,
            preprocessing,
            stage=stage,
            trainable=trained_stages(config),
            positions=config.positions,
            mirror=config.mirror,
            grid=config.grid,
        )
    except (AssertionError, AttributeError, RuntimeError) as error:
        _pass_on_needs_memory(error)
        raise UsageError(
            f"{config.name} gives no grid of features for pictures of {preprocessing.size} pixels "
            f"({error}); choose another encoder.name or encoder.size."
        ) from None


def _exact(device: torch.device) -> AbstractContextManager[Any]:
    """Stay with float32 on a CPU: gradients of depthwise convolutions are slow in bfloat16."""
    return torch.autocast("cpu", enabled=False) if device.type == "cpu" else nullcontext()


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
        _pass_on_needs_memory(error)
        options = f" with encoder.options {config.options}" if config.options else ""
        reason = (str(error) or type(error).__name__).rstrip(".")
        raise UsageError(f"timm cannot build {config.name}{options}: {reason}.") from None


def _pass_on_needs_memory(error: Exception) -> None:
    """Pass on what is no fault of a backbone: on `meta` it asks for numbers that are not there."""
    if isinstance(error, NotImplementedError) or "meta" in str(error):
        raise NotImplementedError(str(error)) from None


def _preprocessing(backbone: nn.Module, config: EncoderConfig) -> Preprocessing:
    data = resolve_model_data_config(backbone)
    return Preprocessing(
        size=config.size or data["input_size"][-1],
        resize=config.resize,
        interpolation=data["interpolation"],
        mean=data["mean"],
        std=data["std"],
    )


def _mean_of_both(places: Tensor, pooled: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Take the mean of what was seen of pictures and, below, of their mirror images."""
    seen, mirrored = places.reshape(2, -1, *places.shape[1:]).unbind()
    mean = (seen + mirrored.flip(3)) / 2
    return mean, None if pooled is None else pooled.reshape(2, -1, *pooled.shape[1:]).mean(0)


def _places(backbone: Any, final: Tensor) -> Tensor:
    """Arrange a backbone's final features as (B, D, h, w), without tokens that are no place."""
    if final.ndim == 4:
        last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        return final.permute(0, 3, 1, 2) if last else final
    tokens = final[:, getattr(backbone, "num_prefix_tokens", 0) :]
    height, width = backbone.patch_embed.grid_size
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)


def _pools(backbone: Any, shape: torch.Size) -> bool:
    """Return whether the classifier reads something of a region's size that is not the mean.

    It is tried on noise in place of final features of this shape, so that the answer does not
    depend on the weights.
    """
    noise = 1 + 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    mean = _places(backbone, noise).mean((2, 3))
    try:
        pooled = backbone.forward_head(noise, pre_logits=True)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return pooled.shape == mean.shape and not torch.allclose(pooled, mean, atol=1e-3)


def _similar(name: str) -> str:
    hint = did_you_mean(name, timm.list_models()).partition("Allowed")[0]
    return f"{hint}See timm.list_models()." if hint else "see timm.list_models()."
