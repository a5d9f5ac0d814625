"""Metrics over tokenized captions: figures of the corpus, of each image, of redraws.

Shapes: `I` images, `N` draws of `I` images with replacement, as counts (N, I).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from cutline.metrics import meteor, spice
from cutline.metrics.bleu import BleuTotals, bleu, bleu_totals
from cutline.metrics.cider import Cider
from cutline.metrics.rouge import rouge_l
from cutline.metrics.tokenized import Tokenized

__all__ = ["METRICS", "Measured", "Metric", "Row"]

Row = dict[str, float]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """Figures of one metric: of the corpus and of each image.

    `redraw` gives the corpus' figures for draws of images (N, I), by name, (N,) each.
    """

    corpus: Row
    rows: list[Row]
    redraw: Callable[[Counts], dict[str, Floats]]
    totals: BleuTotals | None = None


@dataclass(frozen=True)
class Metric:
    """A metric; `why_not` says in a sentence why it cannot be computed here, if it cannot."""

    measure: Callable[[Tokenized], Measured]
    why_not: Callable[[], str | None] = lambda: None


def _bleu(captions: Tokenized) -> Measured:
    parts = bleu_totals(captions.words, captions.counted)
    totals = BleuTotals.total(parts)
    table = np.array([part.row() for part in parts])

    def redraw(counts: Counts) -> dict[str, Floats]:
        drawn = [BleuTotals.of(row) for row in (counts @ table).tolist()]
        return _columns([_bleu_row(totals) for totals in drawn])

    return Measured(_bleu_row(totals), [_bleu_row(part) for part in parts], redraw, totals)


def _rouge(captions: Tokenized) -> Measured:
    pairs = zip(captions.candidates, captions.references, strict=True)
    return _averaged("ROUGE-L", [rouge_l(*pair) for pair in pairs])


def _cider(captions: Tokenized) -> Measured:
    return _averaged("CIDEr", Cider(captions.counted)(captions.words).tolist())


def _spice(captions: Tokenized) -> Measured:
    return _averaged("SPICE", spice.spice(captions.candidates, captions.references)[1])


def _meteor(captions: Tokenized) -> Measured:
    found = meteor.measure(captions.candidates, captions.references)
    return Measured(
        {"METEOR": found.corpus},
        [{"METEOR": value} for value in found.images],
        lambda counts: {"METEOR": found.redraw(counts)},
    )


METRICS: dict[str, Metric] = {
    "BLEU": Metric(_bleu),
    "METEOR": Metric(_meteor, meteor.why_not),
    "ROUGE-L": Metric(_rouge),
    "CIDEr": Metric(_cider),
    "SPICE": Metric(_spice, spice.why_not),
}


def _bleu_row(totals: BleuTotals) -> Row:
    return {f"BLEU-{n}": value for n, value in enumerate(bleu(totals), 1)}


def _averaged(name: str, values: Sequence[float]) -> Measured:
    return Measured(
        {name: fsum(values) / len(values)},
        [{name: value} for value in values],
        lambda counts: {name: counts @ np.array(values) / len(values)},
    )


def _columns(rows: Sequence[Row]) -> dict[str, Floats]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
