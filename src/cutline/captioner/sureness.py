"""How sure a captioner is: what it has learned, after training, about when it is right.

`confidence` is the probability that a caption is right, a logistic function of the mean
log-probability of its words (Platt 1999). A picture is *novel* when the encoder sees in it what it
never saw in the photographs of training: the Mahalanobis distance (Lee et al. 2018, arXiv
1807.03888) of its pooled feature, made a unit vector, from theirs. A caption is `unsure` when its
picture is novel, or its confidence below nearly all of validation's.

Shapes: `B` images, `D` feature size, `d` directions in which the photographs differ most.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cutline.captioner.caption import Caption
from cutline.config.base import Config
from cutline.encoders import Encoder
from cutline.errors import ModelError
from cutline.models.header import Entry

__all__ = ["Familiar", "Sureness", "SurenessConfig", "familiar_shapes", "mean_log_prob"]


class SurenessConfig(Config):
    """What was learned of captions, and how well it holds; part of `config.json`."""

    slope: float = Field(gt=0, description="confidence = sigmoid(slope * log-probability a word")
    intercept: float = Field(description="+ intercept)")
    least: float = Field(ge=0, le=1, description="lower confidence is unsure")
    furthest: float = Field(gt=0, description="pictures that are more novel are unsure")
    right: str = Field(description="what is called right")
    share_right: float = Field(ge=0, le=1, description="of the captions it was learned from")
    calibration_error: float = Field(ge=0, description="expected, on images it did not learn from")
    images: int = Field(gt=0, description="that it was learned from")


class Familiar:
    """What photographs look like to an encoder: their mean, and how they vary about it.

    Args:
        mean: of their unit features (D,).
        directions: in which they vary most (d, D), orthonormal.
        variances: in each direction, and the mean one in all others (d + 1,).
    """

    def __init__(self, mean: Tensor, directions: Tensor, variances: Tensor) -> None:
        self.mean = mean
        self.directions = directions
        self.variances = variances

    @classmethod
    def of(cls, pooled: Tensor, *, directions: int = 128) -> "Familiar":
        """Learn from the pooled features (N, D) of photographs."""
        unit = F.normalize(pooled.double(), dim=1)
        mean = unit.mean(0)
        _, sizes, found = torch.linalg.svd(unit - mean, full_matrices=False)
        kept = min(directions, len(sizes) - 1, pooled.shape[1] - 1)
        variances = sizes.square() / len(unit)
        rest = variances[kept:].sum() / (pooled.shape[1] - kept)
        floor = torch.finfo(torch.float32).tiny
        together = torch.cat([variances[:kept], rest.unsqueeze(0)]).clamp(min=floor)
        return cls(mean.float(), found[:kept].float(), together.float())

    def novelty(self, pooled: Tensor) -> Tensor:
        """Return the squared distance of pooled features (B, D) as (B,); photographs have 1."""
        away = F.normalize(pooled.float(), dim=1) - self.mean.to(pooled.device)
        along = away @ self.directions.to(pooled.device).T
        known, rest = self.variances[:-1].to(pooled.device), float(self.variances[-1])
        left = (away.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return ((along.square() / known).sum(1) + left / rest) / pooled.shape[1]

    def tensors(self) -> dict[str, Tensor]:
        """Return what is kept on disk."""
        return {"mean": self.mean, "directions": self.directions, "variances": self.variances}


class Sureness:
    """Says of captions how sure they are."""

    def __init__(self, config: SurenessConfig, familiar: Familiar) -> None:
        self.config = config
        self.familiar = familiar

    @classmethod
    def read(cls, config: SurenessConfig, tensors: Mapping[str, Tensor]) -> "Sureness":
        """Take it from `config.json` and the tensors beside the weights.

        Raises:
            ModelError: a variance is not positive.
        """
        if not bool((tensors["variances"] > 0).all()):
            raise ModelError("'sureness.variances' has numbers that are not positive.")
        return cls(config, Familiar(**tensors))

    def judge(self, captions: list[Caption], novelty: float) -> list[Caption]:
        """Return the captions of one picture with what is known of each."""
        strange = novelty > self.config.furthest
        return [self._judged(caption, strange=strange) for caption in captions]

    def _judged(self, caption: Caption, *, strange: bool) -> Caption:
        evidence = self.config.slope * mean_log_prob(caption) + self.config.intercept
        confidence = 1 / (1 + math.exp(-max(evidence, -500.0)))
        unsure = strange or confidence < self.config.least
        return replace(caption, confidence=confidence, unsure=unsure)


def familiar_shapes(found: Mapping[str, Entry], encoder: Encoder) -> dict[str, Tensor]:
    """Return tensors without memory, of the shapes that a `Familiar` of this encoder has.

    Args:
        found: what a file has of it, which decides how many directions are kept.
        encoder: whose features it is of.
    """
    size = encoder.feature_size
    shape = found["directions"].shape if "directions" in found else ()
    kept = min(shape[0] if shape else 0, size)
    shapes = {"mean": (size,), "directions": (kept, size), "variances": (kept + 1,)}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def mean_log_prob(caption: Caption) -> float:
    """Return the log-probability a word, the end counted as one."""
    return caption.log_prob / (len(caption.words) + caption.finished)
