"""Evaluation of a model on a split: captions and scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cutline.captioner import Caption, Captioner
from cutline.config import SearchConfig
from cutline.data.examples import Example
from cutline.data.scenes import ScenePicture
from cutline.errors import DataError
from cutline.evaluation.scenes import SceneScores, score_scenes
from cutline.metrics import Scores, score

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """Captions and scores of a split.

    `captions` and `references` are by image id; `failed` says which images could not be read;
    `scenes` is there when the pictures are scenes.
    """

    captions: dict[str, Caption]
    references: dict[str, tuple[str, ...]]
    scores: Scores
    scenes: SceneScores | None = None
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def corpus(self) -> dict[str, float]:
        """All figures of the whole split, by name."""
        figures = dict(self.scores.corpus)
        if self.scenes is not None:
            figures["truth"] = self.scenes.truth
            if self.scenes.pointing is not None and self.scenes.pointing_chance is not None:
                figures["pointing"] = self.scenes.pointing
                figures["pointing (chance)"] = self.scenes.pointing_chance
        return figures

    def to_dict(self) -> dict[str, Any]:
        """Return what `cutline evaluate --json` writes."""
        per_image: dict[str, dict[str, Any]] = {}
        for image, caption in self.captions.items():
            row: dict[str, Any] = {"caption": caption.text, **self.scores.per_image[image]}
            if self.scenes is not None:
                row["true"] = self.scenes.true[image]
            per_image[image] = row
        return {
            "corpus": self.corpus,
            "intervals": self.scores.intervals,
            "per_image": per_image,
            "signature": self.scores.signature,
            "skipped": dict(self.scores.skipped),
            "failed": self.failed,
        }


def evaluate(
    captioner: Captioner,
    examples: Sequence[Example],
    *,
    split: str,
    search: SearchConfig | None = None,
    batch_size: int = 32,
    metrics: Sequence[str] = ("BLEU", "ROUGE-L", "CIDEr"),
    bootstrap: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Caption the pictures of `examples` and score the captions against theirs.

    Args:
        captioner: the model.
        examples: of one split; those without captions are left out.
        split: its name, for the signature.
        search: how to search; by default as the model's own configuration says.
        batch_size: pictures at a time.
        metrics: which of the metrics of `cutline.metrics`.
        bootstrap: draws of the images for 95% intervals of the scores; none by default.
        progress: called with the number of pictures that are done.

    Raises:
        DataError: not one picture could be captioned.
    """
    plan = search or captioner.config.search
    usable = [example for example in examples if example.captions]
    failed: dict[str, str] = {}

    def leave_out(example: Example, reason: str) -> None:
        failed[example.image_id] = reason
        progress(1)

    captions: dict[str, Caption] = {}
    read: list[Example] = []
    for example, caption in captioner.caption_each(
        usable,
        lambda example: captioner.square(example.picture.open()),
        plan,
        name=lambda example: example.picture.name,
        failed=leave_out,
        batch_size=batch_size,
    ):
        read.append(example)
        captions[example.image_id] = caption
        progress(1)
    if not captions:
        raise DataError(
            f"Not one of the {len(examples)} pictures of the {split} split could be captioned; "
            "`cutline data check PATH` names each fault."
        )
    references = {example.image_id: example.captions for example in read}
    words = captioner.vocabulary.split  # the scores know words by the spaces between them
    kind = {} if captioner.vocabulary.spaced else {"words": "characters"}
    scores = score(
        {image: words(caption.text) for image, caption in captions.items()},
        {image: [*map(words, texts)] for image, texts in references.items()},
        metrics=metrics,
        bootstrap=bootstrap,
        details={"split": split, "search": _described(plan), **kind},
    )
    return Evaluation(captions, references, scores, _scene_scores(captions, read), failed)


def _described(search: SearchConfig) -> str:
    if search.beam == 1:
        return "greedy"
    return f"beam-{search.beam}" + (
        f"-lp-{search.length_penalty:g}" if search.length_penalty else ""
    )


def _scene_scores(
    captions: Mapping[str, Caption], examples: Sequence[Example]
) -> SceneScores | None:
    scenes = {e.image_id: e.picture.scene for e in examples if isinstance(e.picture, ScenePicture)}
    return score_scenes(captions, scenes) if len(scenes) == len(examples) else None
