"""Scores of a caption file, with a signature that says how they were made.

    captions --ptb_tokenize--> tokens --BLEU, ROUGE-L, CIDEr--> per image --> corpus

Every figure equals that of the reference COCO evaluation (pycocoevalcap 1.2), with two deliberate
differences: no caption is read together with the next one, and the placeholder `<unk>` in a
candidate matches nothing, because a word that the model does not know cannot be right.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any, NamedTuple

from cutline.errors import DataError, UsageError, did_you_mean
from cutline.metrics.bleu import BleuTotals, bleu, bleu_totals
from cutline.metrics.cider import DocumentFrequencies, cider_d
from cutline.metrics.ptb import ptb_tokenize
from cutline.metrics.rouge import rouge_l

__all__ = ["ALL_METRICS", "IMPLEMENTATION", "ImageId", "Scores", "score"]

# Raised whenever any figure of any caption changes.
IMPLEMENTATION = "cutline.metrics-1"
TOKENIZER = "ptb-3.4.1"

NOT_BUILT = dict.fromkeys(("METEOR", "SPICE"), "not built yet in this version")

# What `<unk>` in a candidate becomes: something that no reference can contain.
UNKNOWN, NO_MATCH = "<unk>", "<unk>\0"

# How many images an error names.
FEW = 5

ImageId = str | int
Row = dict[str, float]


@dataclass(frozen=True)
class Scores:
    """What was measured, and how. BLEU and ROUGE-L are from 0 to 1, CIDEr from 0 to 10.

    A metric that was not asked for is nowhere; one that cannot be computed is in `skipped`.
    """

    corpus: Row
    per_image: dict[ImageId, Row]
    bleu_totals: BleuTotals | None
    skipped: dict[str, str]
    signature: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, sequences, strings and numbers, ready for JSON."""
        return asdict(self)


def score(
    candidates: Mapping[str, str] | Mapping[int, str],
    references: Mapping[str, Sequence[str]] | Mapping[int, Sequence[str]],
    metrics: Sequence[str] = ("BLEU", "ROUGE-L", "CIDEr"),
    *,
    details: Mapping[str, str] | None = None,
) -> Scores:
    """Score one caption per image against that image's references, all given as plain text.

    `details`, such as split and search, become part of the signature.

    >>> made = score({1: "A red bus.", 2: "two dogs"}, {1: ["a red bus"], 2: ["Two dogs!"]})
    >>> made.corpus["ROUGE-L"], made.signature
    (1.0, 'BLEU+ROUGE-L+CIDEr|images:2|refs:1-1|tok:ptb-3.4.1|version:cutline.metrics-1')
    """
    _check_metrics(metrics)
    _check_images(candidates, references)
    pairs = _tokenize(candidates, references)
    measured = [MEASURES[name](pairs) for name in metrics if name in MEASURES]
    rows = [_merge(row) for row in zip(*(part.rows for part in measured), strict=True)]
    return Scores(
        corpus=_merge(part.corpus for part in measured),
        per_image=dict(zip(candidates, rows or [{} for _ in pairs], strict=True)),
        bleu_totals=next((part.totals for part in measured if part.totals), None),
        skipped={name: NOT_BUILT[name] for name in metrics if name in NOT_BUILT},
        signature=_signature(metrics, pairs, details or {}),
    )


class _Pair(NamedTuple):
    """One image: its candidate and its references, as tokens."""

    candidate: list[str]
    references: list[list[str]]

    def words(self) -> "_Pair":
        """Split the tokens that have a no-break space inside, as the reference's n-grams do."""
        return _Pair(_split(self.candidate), [_split(tokens) for tokens in self.references])


class _Measured(NamedTuple):
    """What one metric says of the corpus and of each image."""

    corpus: Row
    rows: list[Row]
    totals: BleuTotals | None = None


def _measure_bleu(pairs: Sequence[_Pair]) -> _Measured:
    parts = [bleu_totals(*pair.words()) for pair in pairs]
    totals = BleuTotals.total(parts)
    return _Measured(_bleu_row(totals), [_bleu_row(part) for part in parts], totals)


def _measure_rouge(pairs: Sequence[_Pair]) -> _Measured:
    return _averaged("ROUGE-L", [rouge_l(*pair) for pair in pairs])


def _measure_cider(pairs: Sequence[_Pair]) -> _Measured:
    words = [pair.words() for pair in pairs]
    frequencies = DocumentFrequencies.of(pair.references for pair in words)
    return _averaged("CIDEr", [cider_d(*pair, frequencies) for pair in words])


MEASURES: dict[str, Callable[[Sequence[_Pair]], _Measured]] = {
    "BLEU": _measure_bleu,
    "ROUGE-L": _measure_rouge,
    "CIDEr": _measure_cider,
}
ALL_METRICS = (*MEASURES, *NOT_BUILT)


def _bleu_row(totals: BleuTotals) -> Row:
    return {f"BLEU-{n}": value for n, value in enumerate(bleu(totals), 1)}


def _averaged(name: str, values: Sequence[float]) -> _Measured:
    return _Measured({name: fsum(values) / len(values)}, [{name: value} for value in values])


def _merge(rows: Iterable[Row]) -> Row:
    return {name: value for row in rows for name, value in row.items()}


def _split(tokens: Sequence[str]) -> list[str]:
    return [word for token in tokens for word in token.split()]


def _tokenize(
    candidates: Mapping[Any, str], references: Mapping[Any, Sequence[str]]
) -> list[_Pair]:
    return [
        _Pair(
            [NO_MATCH if token == UNKNOWN else token for token in ptb_tokenize(candidate)],
            [ptb_tokenize(reference) for reference in references[image]],
        )
        for image, candidate in candidates.items()
    ]


def _check_metrics(metrics: Sequence[str]) -> None:
    for name in metrics:
        if name not in ALL_METRICS:
            hint = did_you_mean(name, ALL_METRICS)
            raise UsageError(f"there is no metric '{name}'; {hint}")


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


def _signature(metrics: Sequence[str], pairs: Sequence[_Pair], details: Mapping[str, str]) -> str:
    counts = [len(pair.references) for pair in pairs]
    fields = {
        "images": str(len(pairs)),
        "refs": f"{min(counts)}-{max(counts)}",
        "tok": TOKENIZER,
        "version": IMPLEMENTATION,
    }
    if taken := sorted(fields.keys() & details.keys()):
        raise UsageError(f"the signature already says '{taken[0]}'; name this detail differently")
    said = {**fields, **details}
    made = [name for name in metrics if name in MEASURES]
    return "|".join(["+".join(made), *(f"{key}:{value}" for key, value in said.items())])
