"""Calibration: confidence by Platt scaling, novelty by a Gaussian of pooled features.

Right is a caption that agrees with an image's references at least as well as people agree with each
other: its CIDEr is not below the lower quartile of people's own captions, each scored against the
others of its image. So three captions of people's in four are right.

Shapes: `N` images, `D` feature size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import (
    Captioner,
    Familiar,
    Square,
    Sureness,
    SurenessConfig,
    in_batches,
    mean_log_prob,
)
from cutline.data.examples import Example
from cutline.errors import DataError
from cutline.evaluation.evaluation import evaluate
from cutline.images.unreadable import read_each
from cutline.metrics import score

__all__ = ["Calibration", "calibrate", "expected_calibration_error", "fit_logistic"]

Floats = NDArray[np.float64]

BINS = 10
FOLDS = 5
FURTHEST = 0.975  # of validation's photographs are nearer than what is called novel
LEAST = 0.01  # of their captions are less sure than what is called unsure
FEWEST = 50  # images that a calibration can be learned from


SCORES = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")


class Calibration(NamedTuple):
    """Fitted confidence and novelty, scores, the data of the fit, and the faults."""

    sureness: Sureness
    scores: dict[str, Any]
    confidence: Floats
    right: NDArray[np.bool_]
    failed: list[str]


def calibrate(
    captioner: Captioner,
    train: Sequence[Example],
    val: Sequence[Example],
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """Fit confidence to the captions of the validation split, and novelty to photographs.

    Args:
        captioner: as trained; captions are searched for as its configuration says.
        train: pictures to learn the look of photographs from.
        val: images that the captioner was not trained on, with several captions each.
        progress: called with the number of pictures that are done.

    Raises:
        DataError: too few images, or captions that are all right or all wrong.
    """
    failed: list[str] = []
    familiar = Familiar.of(pooled_features(captioner, train, progress, failed=failed))
    found = evaluate(captioner, val, split="val", metrics=SCORES, progress=progress)
    images = list(found.captions)
    if len(images) < FEWEST:
        raise DataError(
            f"Calibration has {len(images)} images to learn from; give at least {FEWEST}."
        )
    enough = people_quartile({image: found.references[image] for image in images})
    cider = np.array([found.scores.per_image[image]["CIDEr"] for image in images])
    right = cider >= enough
    if right.all() or not right.any():
        raise DataError(
            f"Of {len(images)} captions {int(right.sum())} are right: there is nothing to tell "
            "apart; train longer, or give other images."
        )
    evidence = np.array([mean_log_prob(found.captions[image]) for image in images])
    slope, intercept = fit_logistic(evidence, right)
    confidence = _logistic(slope * evidence + intercept)
    by_id = {example.image_id: example for example in val}
    novelty = familiar.novelty(
        pooled_features(captioner, [by_id[image] for image in images], progress, failed=[])
    )
    config = SurenessConfig(
        slope=slope,
        intercept=intercept,
        least=float(np.quantile(confidence, LEAST)),
        furthest=float(np.quantile(novelty, FURTHEST)),
        right=f"CIDEr of at least {enough:.3f}, which three in four of people's captions reach",
        share_right=float(right.mean()),
        calibration_error=held_out_error(evidence, right),
        images=len(images),
    )
    scores = {**found.scores.corpus, "signature": found.scores.signature}
    failed += found.failed.values()
    return Calibration(Sureness(config, familiar), scores, confidence, right, failed)


def people_quartile(references: Mapping[str, Sequence[str]]) -> float:
    """Return the lower quartile of the CIDEr of people's captions, each against the others."""
    ciders: list[float] = []
    most = max(len(captions) for captions in references.values())
    for k in range(most):
        one = {image: texts[k] for image, texts in references.items() if k < len(texts) > 1}
        others = {image: [*texts[:k], *texts[k + 1 :]] for image, texts in references.items()}
        judged = score(one, {image: others[image] for image in one}, metrics=["CIDEr"])
        ciders += [row["CIDEr"] for row in judged.per_image.values()]
    return float(np.quantile(ciders, 0.25))


def pooled_features(
    captioner: Captioner,
    examples: Sequence[Example],
    progress: Callable[[int], None],
    *,
    failed: list[str],
    batch_size: int = 32,
) -> Floats:
    """Return the pooled features (N, D) of the pictures that can be read; `failed` grows."""

    def leave_out(_: Example, reason: str) -> None:
        failed.append(reason)
        progress(1)

    def squares() -> Iterator[Square]:
        for _, square in read_each(
            examples,
            lambda example: captioner.square(example.picture.open()),
            name=lambda example: example.picture.name,
            failed=leave_out,
        ):
            yield square
            progress(1)

    found = [captioner.pooled(batch) for batch in in_batches(squares(), batch_size)]
    if not found:
        raise DataError("Not one of the pictures could be read.")
    return np.concatenate(found)


def fit_logistic(evidence: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit P(right) = sigmoid(slope * evidence + intercept) by Newton's method; slope > 0.

    Platt 1999, section 2.2: the targets are drawn in a little, so that no slope is infinite.
    """
    yes, no = right.sum(), (~right).sum()
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    inputs = np.column_stack([evidence, np.ones_like(evidence)])
    weights = np.zeros(2)
    for _ in range(50):
        chance = _logistic(inputs @ weights)
        slopes = inputs.T @ (chance - target)
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slopes)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return max(float(weights[0]), 1e-6), float(weights[1])


def expected_calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and share of right, over ten bins of equal width.

    Guo et al. 2017 (arXiv 1706.04599), equation 3.
    """
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(confidence[place == b].sum() - right[place == b].sum())
        for b in range(BINS)
        if (place == b).any()
    ]
    return float(sum(gaps) / len(right))


def held_out_error(evidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error when each fold's map is learned from the others."""
    fold = np.random.default_rng(0).permutation(len(right)) % FOLDS
    confidence = np.empty_like(evidence)
    for k in range(FOLDS):
        slope, intercept = fit_logistic(evidence[fold != k], right[fold != k])
        confidence[fold == k] = _logistic(slope * evidence[fold == k] + intercept)
    return expected_calibration_error(confidence, right)


def _logistic(x: Floats) -> Floats:
    chance: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return chance
