"""Scores on `scenes`: truth of captions, pointing accuracy of attention.

*Truth* is the share of captions of which every stated fact holds in the picture. *Pointing* is the
share of object words whose attention peaks on an object that the word may denote; its *chance* is
the same share for a peak put anywhere.

Shapes: `T` words, `h x w` the attention grid.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cutline.captioner import Caption
from cutline.data.scenes import Scene, chance, grounding, is_true, points_at

__all__ = ["SceneScores", "score_scenes"]


class SceneScores(NamedTuple):
    """Shares, 0 to 1; `pointing` and its chance are None for a decoder that does not attend."""

    truth: float
    pointing: float | None
    pointing_chance: float | None
    true: dict[str, bool]


def score_scenes(captions: Mapping[str, Caption], scenes: Mapping[str, Scene]) -> SceneScores:
    """Score captions of scenes, both by image id; no captions at all is a `ValueError`."""
    if not captions:
        raise ValueError("no captions to score")
    true = {image: is_true(caption.text, scenes[image]) for image, caption in captions.items()}
    hits: list[bool] = []
    chances: list[float] = []
    for image, caption in captions.items():
        if caption.attention is None:
            continue
        scene = scenes[image]
        height, width = caption.attention.shape[1:]
        for t, things in grounding(caption.words, scene).items():
            hits.append(points_at(caption.attention[t], things, scene))
            chances.append(chance(things, scene, height, width))
    return SceneScores(
        truth=sum(true.values()) / len(true),
        pointing=sum(hits) / len(hits) if hits else None,
        pointing_chance=sum(chances) / len(chances) if chances else None,
        true=true,
    )
