"""Tables of scores: rows of text, the first row the heading."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cutline.evaluation import Faithfulness
    from cutline.metrics import Comparison, Description, Interval

__all__ = [
    "EVERY_METRIC",
    "compared_rows",
    "described_rows",
    "faithfulness_rows",
    "metric_names",
    "score_rows",
]

EVERY_METRIC = "BLEU,METEOR,ROUGE-L,CIDEr,SPICE"

# What each line of a description is called.
TOLD = {
    "captions": "captions",
    "distinct_captions": "distinct captions, share",
    "distinct_words": "distinct words",
    "mean_length": "mean length in words",
    "bad_endings": "end in an article or a preposition, share",
    "repeats": "repeat themselves, share",
    "novel": "not among the training captions, share",
}


def metric_names(given: str) -> list[str]:
    """Read `BLEU,CIDEr`."""
    return [name.strip() for name in given.split(",") if name.strip()]


def score_rows(corpus: Mapping[str, float], intervals: "Mapping[str, Interval]") -> list[list[str]]:
    """List figures, with their intervals where there are any."""
    rows = [["", "score", *(["95% interval"] if intervals else [])]]
    for name, value in corpus.items():
        ends = [_between(*intervals[name])] if name in intervals else [""] * bool(intervals)
        rows.append([name, f"{value:.4f}", *ends])
    return rows


def faithfulness_rows(found: "Faithfulness") -> list[list[str]]:
    """List the areas under deletion and insertion curves, each with its 95% interval."""
    rows = [["regions in the order of", "deletion", "", "insertion", ""]]
    for order in found.deletion_area:
        row = [order]
        for areas in (found.deletion_area[order], found.insertion_area[order]):
            mean, margin = areas.mean(), 1.96 * areas.std() / len(areas) ** 0.5
            row += [f"{mean:.4f}", _between(mean - margin, mean + margin)]
        rows.append(row)
    return rows


def compared_rows(comparison: "Comparison", names: list[str]) -> list[list[str]]:
    """List both systems' figures; a star says that the interval, as printed, leaves out 0."""
    rows = [["", *names, "difference", "its 95% interval"]]
    for name, one in comparison.differences.items():
        values = (comparison.first.corpus[name], comparison.second.corpus[name])
        ends = _between(one.low, one.high) + (" *" if _leaves_out_zero(one.low, one.high) else "")
        rows.append([name, *(f"{value:.4f}" for value in values), f"{one.value:+z.4f}", ends])
    return rows


def described_rows(descriptions: "Mapping[str, Description]") -> list[list[str]]:
    """List descriptions side by side; what none of them knows is left out."""
    figures = [one.to_dict() for one in descriptions.values()]
    rows = [["", *(Path(name).name for name in descriptions)]]
    for key, title in TOLD.items():
        values = [figure[key] for figure in figures]
        if None not in values:
            whole = all(isinstance(value, int) for value in values)
            rows.append([title, *(f"{v:,}" if whole else f"{v:.4f}" for v in values)])
    return rows


def _leaves_out_zero(low: float, high: float) -> bool:
    return round(low, 4) > 0 or round(high, 4) < 0


def _between(low: float, high: float) -> str:
    return f"{low:z.4f} to {high:z.4f}"
