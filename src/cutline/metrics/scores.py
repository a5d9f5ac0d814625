"""Scores of a caption file, with a signature that says how they were made.

    captions --ptb_tokenize--> tokens --BLEU, ROUGE-L, CIDEr--> per image --> corpus

Every figure equals that of the reference COCO evaluation (pycocoevalcap 1.2), with two deliberate
differences: no caption is read together with the next one, and the placeholder `<unk>` in a
candidate matches nothing, because a word that the model does not know cannot be right.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cutline.errors import CutlineError, DataError, UsageError, did_you_mean
from cutline.metrics.bleu import BleuTotals
from cutline.metrics.bootstrap import Interval, draws, interval
from cutline.metrics.measures import METRICS, Floats, Measured, Row
from cutline.metrics.tokenized import TOKENIZER, Tokenized

__all__ = [
    "ALL_METRICS",
    "IMPLEMENTATION",
    "Comparison",
    "Difference",
    "Scores",
    "compare",
    "score",
]

# Raised whenever any figure of any caption changes.
IMPLEMENTATION = "cutline.metrics-1"
ALL_METRICS = tuple(METRICS)

# How many images an error names.
FEW = 5

ImageId = str | int
Candidates = Mapping[str, str] | Mapping[int, str]
References = Mapping[str, Sequence[str]] | Mapping[int, Sequence[str]]


@dataclass(frozen=True)
class Scores:
    """Figures and their signature. All are from 0 to 1, but CIDEr, which is from 0 to 10.

    A metric that was not asked for is nowhere; one that cannot be computed is in `skipped`, with
    the reason. `intervals` are 95% bootstrap intervals of the corpus' figures, where asked for.
    """

    corpus: Row
    per_image: dict[ImageId, Row]
    bleu_totals: BleuTotals | None
    skipped: dict[str, str]
    signature: str
    intervals: dict[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, sequences, strings and numbers, ready for JSON."""
        return asdict(self)


class Difference(NamedTuple):
    """The first system's figure minus the second's, and its 95% interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two systems' scores, and the differences of their corpus' figures by name."""

    first: Scores
    second: Scores
    differences: dict[str, Difference]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, sequences, strings and numbers, ready for JSON."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "differences": {name: one._asdict() for name, one in self.differences.items()},
        }


def score(
    candidates: Candidates,
    references: References,
    metrics: Sequence[str] = ("BLEU", "ROUGE-L", "CIDEr"),
    *,
    details: Mapping[str, str] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> Scores:
    """Score one caption per image against that image's references, all given as plain text.

    Args:
        candidates: a caption by image id.
        references: captions to compare with, by image id.
        metrics: some of BLEU, METEOR, ROUGE-L, CIDEr, SPICE. METEOR and SPICE need Java.
        details: such as split and search; they become part of the signature.
        bootstrap: draws of the images for 95% intervals; none by default.
        seed: of those draws.

    Raises:
        UsageError: an unknown metric.
        DataError: images without a caption or without references.

    >>> made = score({1: "A red bus.", 2: "two dogs"}, {1: ["a red bus"], 2: ["Two dogs!"]})
    >>> made.corpus["ROUGE-L"], made.signature
    (1.0, 'BLEU+ROUGE-L+CIDEr|images:2|refs:1-1|tok:ptb-3.4.1|version:cutline.metrics-1')
    """
    metrics = _known(metrics)
    _check_images(candidates, references)
    captions = Tokenized(candidates, references)
    measured, skipped = _measure(metrics, captions)
    drawn = _drawn(measured, len(candidates), bootstrap, seed)
    return _scores(
        candidates, measured, skipped, _signature(measured, captions, details or {}), drawn
    )


def compare(
    candidates: Candidates,
    against: Candidates,
    references: References,
    metrics: Sequence[str] = ("BLEU", "ROUGE-L", "CIDEr"),
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same images, by `samples` draws of those images.

    >>> truths = {1: ["a red bus"], 2: ["two dogs run"], 3: ["a cat"]}
    >>> better = {1: "a red bus", 2: "two dogs", 3: "a cat"}
    >>> compare(better, {**better, 1: "a cat"}, truths, ["ROUGE-L"]).differences["ROUGE-L"].low
    0.0
    """
    metrics = _known(metrics)
    _check_images(candidates, references)
    _check_images(against, references)
    aligned: dict[Any, str] = {image: against[image] for image in candidates}  # type: ignore[index]
    systems = [Tokenized(texts, references) for texts in (candidates, aligned)]
    both = [_measure(metrics, system) for system in systems]
    skipped = {name: reason for _, reasons in both for name, reason in reasons.items()}
    found = [
        {name: one for name, one in measured.items() if name not in skipped} for measured, _ in both
    ]
    drawn = [_drawn(measured, len(candidates), samples, seed) for measured in found]
    first, second = (
        _scores(texts, measured, skipped, _signature(measured, system, {}), values)
        for texts, measured, system, values in zip(
            (candidates, aligned), found, systems, drawn, strict=True
        )
    )
    differences = {
        name: Difference(
            first.corpus[name] - second.corpus[name], *interval(values - drawn[1][name])
        )
        for name, values in drawn[0].items()
    }
    return Comparison(first, second, differences)


def _measure(
    metrics: Sequence[str], captions: Tokenized
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Compute each metric, or say why it cannot be computed here or of these captions."""
    measured: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for name in metrics:
        try:
            if reason := METRICS[name].why_not():
                skipped[name] = reason
            else:
                measured[name] = METRICS[name].measure(captions)
        except CutlineError as error:
            skipped[name] = str(error)
    return measured, skipped


def _scores(
    candidates: Mapping[Any, str],
    measured: Mapping[str, Measured],
    skipped: dict[str, str],
    signature: str,
    drawn: Mapping[str, Floats],
) -> Scores:
    parts = measured.values()
    rows = [_merge(row) for row in zip(*(part.rows for part in parts), strict=True)]
    return Scores(
        corpus=_merge(part.corpus for part in parts),
        per_image=dict(zip(candidates, rows or [{} for _ in candidates], strict=True)),
        bleu_totals=next((part.totals for part in parts if part.totals), None),
        skipped=skipped,
        signature=signature,
        intervals={name: interval(values) for name, values in drawn.items()},
    )


def _drawn(
    measured: Mapping[str, Measured], images: int, samples: int, seed: int
) -> dict[str, Floats]:
    """Compute all figures of all draws; the same seed draws the same images."""
    parts: dict[str, list[Floats]] = {}
    for counts in draws(images, samples, seed):
        for metric in measured.values():
            for name, values in metric.redraw(counts).items():
                parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _merge(rows: Iterable[Row]) -> Row:
    return {name: value for row in rows for name, value in row.items()}


def _known(metrics: Sequence[str]) -> list[str]:
    """Return the names as they are written here, each once; BLEU-4 is one of BLEU's figures.

    Case, spaces, hyphens and underscores do not matter.
    """
    names = {_bare(name): name for name in ALL_METRICS} | {"rouge": "ROUGE-L"}
    names |= {f"bleu{n}": "BLEU" for n in range(1, 5)}
    for name in metrics:
        if _bare(name) not in names:
            hint = did_you_mean(name.upper(), ALL_METRICS)
            raise UsageError(f"there is no metric '{name}'; {hint}")
    return list(dict.fromkeys(names[_bare(name)] for name in metrics))


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _check_images(candidates: Mapping[Any, str], references: Mapping[Any, Sequence[str]]) -> None:
    if not references:
        raise DataError("there are no images to score: no references were given")
    problems = {
        "with references but no caption": [i for i in references if i not in candidates],
        "with a caption but no references": [i for i in candidates if not references.get(i)],
    }
    for problem, images in problems.items():
        if images:
            first = ", ".join(repr(image) for image in images[:FEW])
            more = ", ..." if len(images) > FEW else ""
            raise DataError(f"{len(images)} of {len(references)} images {problem}: {first}{more}")


def _signature(made: Iterable[str], captions: Tokenized, details: Mapping[str, str]) -> str:
    counts = [len(group) for group in captions.references]
    fields = {
        "images": str(len(counts)),
        "refs": f"{min(counts)}-{max(counts)}",
        "tok": TOKENIZER,
        "version": IMPLEMENTATION,
    }
    if taken := sorted(fields.keys() & details.keys()):
        raise UsageError(f"the signature already says '{taken[0]}'; name this detail differently")
    said = {**fields, **details}
    return "|".join(["+".join(made), *(f"{key}:{value}" for key, value in said.items())])
