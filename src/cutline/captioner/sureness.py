"""Confidence calibration and novelty detection: is a caption right, is a picture a photograph.

`confidence` is the probability that a caption is right, a logistic function of the mean
log-probability of its words (Platt 1999). A picture is *novel* when the encoder sees in it what it
never saw in the photographs of training: the Mahalanobis distance (Lee et al. 2018, arXiv
1807.03888) of its pooled feature, made a unit vector, from theirs. A caption is `unsure` when its
picture is novel, or its confidence below nearly all of validation's.

Shapes: `B` images, `D` feature size, `d` directions in which the photographs differ most.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cutline.captioner.caption import Caption
from cutline.config.base import Config

__all__ = ["Familiar", "Sureness", "SurenessConfig", "mean_log_prob"]

Floats = NDArray[np.floating]


class SurenessConfig(Config):
    """Parameters of confidence and novelty; part of `config.json`."""

    slope: float = Field(gt=0, description="confidence = sigmoid(slope * log-probability a word")
    intercept: float = Field(description="+ intercept)")
    least: float = Field(ge=0, le=1, description="lower confidence is unsure")
    furthest: float = Field(gt=0, description="pictures that are more novel are unsure")
    right: str = Field(description="what is called right")
    share_right: float = Field(ge=0, le=1, description="of the captions it was learned from")
    calibration_error: float = Field(ge=0, description="expected, on images it did not learn from")
    images: int = Field(gt=0, description="that it was learned from")


class Familiar:
    """Gaussian model of photographs' pooled features: mean and principal variances.

    Args:
        mean: of their unit features (D,).
        directions: in which they vary most (d, D), orthonormal.
        variances: in each direction, and the mean one in all others (d + 1,).
    """

    def __init__(self, mean: Floats, directions: Floats, variances: Floats) -> None:
        self.mean = mean
        self.directions = directions
        self.variances = variances

    @classmethod
    def of(cls, pooled: Floats, *, directions: int = 128) -> "Familiar":
        """Fit to the pooled features (N, D) of photographs."""
        unit = _unit(pooled.astype(np.float64))
        mean = unit.mean(0)
        _, sizes, found = np.linalg.svd(unit - mean, full_matrices=False)
        kept = min(directions, len(sizes) - 1, pooled.shape[1] - 1)
        variances = sizes**2 / len(unit)
        rest = variances[kept:].sum() / (pooled.shape[1] - kept)
        together = np.append(variances[:kept], rest).clip(min=np.finfo(np.float32).tiny)
        parts = (mean, found[:kept], together)
        return cls(*(part.astype(np.float32) for part in parts))

    def novelty(self, pooled: Floats) -> Floats:
        """Return the squared distance of pooled features (B, D) as (B,); photographs have 1."""
        away = _unit(pooled.astype(np.float32)) - self.mean
        along = away @ self.directions.T
        left = ((away**2).sum(1) - (along**2).sum(1)).clip(min=0)
        far: Floats = (along**2 / self.variances[:-1]).sum(1) + left / self.variances[-1]
        far /= pooled.shape[1]
        return far

    def tensors(self) -> dict[str, Floats]:
        """Return the parameters, as they are saved."""
        return {"mean": self.mean, "directions": self.directions, "variances": self.variances}


class Sureness:
    """Confidence and novelty of captions."""

    def __init__(self, config: SurenessConfig, familiar: Familiar) -> None:
        self.config = config
        self.familiar = familiar

    def judge(self, captions: list[Caption], novelty: float) -> list[Caption]:
        """Return the captions of one picture with confidence and `unsure` filled in."""
        strange = novelty > self.config.furthest
        return [self._judged(caption, strange=strange) for caption in captions]

    def _judged(self, caption: Caption, *, strange: bool) -> Caption:
        evidence = self.config.slope * mean_log_prob(caption) + self.config.intercept
        confidence = 1 / (1 + math.exp(-max(evidence, -500.0)))
        unsure = strange or confidence < self.config.least
        return replace(caption, confidence=confidence, unsure=unsure)


def mean_log_prob(caption: Caption) -> float:
    """Return the log-probability a word, the end counted as one."""
    return caption.log_prob / (len(caption.words) + caption.finished)


def _unit(rows: Floats) -> Floats:
    """Divide rows by their length, as `torch.nn.functional.normalize` does."""
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    unit: Floats = rows / lengths.clip(min=1e-12)
    return unit
