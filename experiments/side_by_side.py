"""What came of the captioners' runs on scenes, and the table that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from experiments.records import Record, write_between
from experiments.runs import decoders

__all__ = ["PAGE", "RESULTS", "Run", "table", "write_page"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results" / "captioners.json"
PAGE = ROOT / "docs" / "captioners.md"
BEGIN = "<!-- scores: written by experiments/captioners.py; do not edit -->"
END = "<!-- /scores -->"


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """A run on scenes: all figures of the recipe's own search."""

    scores: dict[str, float]
    signature: str

    def __str__(self) -> str:
        pointing = self.scores.get("pointing")
        parts = [
            f"truth {self.scores['truth']:.3f}",
            *([] if pointing is None else [f"pointing {pointing:.3f}"]),
            f"CIDEr {self.scores['CIDEr']:.3f}",
            f"BLEU-4 {self.scores['BLEU-4']:.3f}",
            f"best epoch {self.best_epoch}",
            self.took,
        ]
        return ", ".join(parts)


# --- the table


def table(runs: list[Run]) -> str:
    """Return the scores in Markdown: means over seeds, with the smallest and the largest."""
    if not runs:
        return "Not measured yet: `python -m experiments.captioners --jobs 2` does it."
    lines = [
        "| parameters | truth | pointing | CIDEr | BLEU-4 | minutes |",
        "|---|---|---|---|---|---|",
    ]
    seeds = len({run.seed for run in runs})
    for name in decoders():
        if own := [run for run in runs if run.decoder == name]:
            fewer = "" if len(own) == seeds else f" ({len(own)} of {seeds} seeds)"
            lines.append(_row(f"`{name}`{fewer}", own))
    return "\n".join([*lines, "", _about(runs)])


def _row(name: str, runs: list[Run]) -> str:
    def score(key: str) -> str:
        found = [run.scores[key] for run in runs if key in run.scores]
        return _spread(found, "{:.3f}".format) if found else "-"

    minutes = [run.seconds / 60 for run in runs if run.seconds is not None]
    cells = [
        f"{name}<br>{runs[0].parameters:,}",
        *(score(key) for key in ("truth", "pointing", "CIDEr", "BLEU-4")),
        (f"{fmean(minutes):.1f}" if minutes else "-")
        + f"<br>epoch {', '.join(str(run.best_epoch) for run in runs)}",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float], show: Callable[[float], str]) -> str:
    if len(values) == 1:
        return show(values[0])
    return f"**{show(fmean(values))}**<br>{show(min(values))}–{show(max(values))}"


def _about(runs: list[Run]) -> str:
    seeds = sorted({run.seed for run in runs})
    chances = [run.scores["pointing (chance)"] for run in runs if "pointing" in run.scores]
    chance = f" Pointing by chance: {fmean(chances):.3f}." if chances else ""
    together = ", ".join(str(jobs) for jobs in sorted({run.jobs for run in runs}))
    several = "mean over seeds " if len(seeds) > 1 else "seed "
    spread = " (below it the smallest to the largest)" if len(seeds) > 1 else ""
    return (
        f"{several.capitalize()}{', '.join(map(str, seeds))}{spread}; "
        f"{max(run.images for run in runs)} scenes never seen in training, with the recipe's own "
        f"search.{chance} Parameters are the decoder's; the epochs are the "
        f"best ones. Minutes of training, {together} at a time: "
        f"{'; '.join(sorted({run.machine for run in runs}))}.\n\n"
        f"`{'`, `'.join(sorted({run.signature for run in runs}))}`"
    )


def write_page(runs: list[Run], page: Path = PAGE) -> None:
    """Put the table into the page, between its two marks."""
    write_between(page, BEGIN, END, table(runs))
