"""What came of the runs on Flickr8k, the table and the plot that show it."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from experiments.records import Record, write_between
from experiments.runs import decoders

__all__ = ["RESULTS", "Row", "table", "write_page"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results" / "flickr8k.json"
PAGE = ROOT / "docs" / "results.md"
PLOT = ROOT / "docs" / "images" / "results_flickr8k.png"
BEGIN = "<!-- scores: written by python -m experiments.flickr8k; do not edit -->"
END = "<!-- /scores -->"
SHOWN = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
SEARCHES = {"beam": "beam search", "greedy": "greedy"}


@dataclass(frozen=True, kw_only=True)
class Row(Record):
    """A run on Flickr8k.

    `scores`, `intervals` (95%, bootstrap), `signatures` and `speed` (images/s of the search alone)
    are by search, greedy or beam.
    """

    scores: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, list[float]]]
    signatures: dict[str, str]
    speed: dict[str, float]

    def __str__(self) -> str:
        beam, greedy = self.scores["beam"], self.scores["greedy"]
        return (
            f"CIDEr {beam['CIDEr']:.3f} (greedy {greedy['CIDEr']:.3f}), "
            f"BLEU-4 {beam['BLEU-4']:.3f}, best epoch {self.best_epoch}, {self.took}"
        )


def write_page(rows: list[Row], page: Path = PAGE, plot: Path = PLOT) -> None:
    """Put the table into the page, between its two marks, and draw the plot."""
    write_between(page, BEGIN, END, table(rows))
    if rows:
        draw(rows, plot)


def table(rows: list[Row]) -> str:
    """Return the scores in Markdown: means over seeds, with the smallest and the largest."""
    if not rows:
        return "Not measured yet: `python -m experiments.flickr8k --data PATH --jobs 2` does it."
    return "\n\n".join(
        [*(_table(rows, search, title) for search, title in SEARCHES.items()), _about(rows)]
    )


def _table(rows: list[Row], search: str, title: str) -> str:
    lines = [
        f"| {title} | {' | '.join(SHOWN)} | images/s |",
        "|---" * (len(SHOWN) + 2) + "|",
    ]
    seeds = len({row.seed for row in rows})
    for name in decoders():
        if own := [row for row in rows if row.decoder == name]:
            fewer = "" if len(own) == seeds else f" ({len(own)} of {seeds} seeds)"
            cells = [_cell(own, search, metric) for metric in SHOWN]
            speed = fmean(row.speed[search] for row in own)
            lines.append(f"| `{name}`{fewer} | {' | '.join(cells)} | {speed:.0f} |")
    return "\n".join(lines)


def _cell(rows: list[Row], search: str, metric: str) -> str:
    """Show the mean over seeds, how far seeds go, and the mean half width of their intervals."""
    found = [row.scores[search][metric] for row in rows if metric in row.scores[search]]
    if not found:
        return "-"
    spread = f"{min(found):.3f}–{max(found):.3f}" if len(found) > 1 else "one seed"
    between = [row.intervals[search][metric] for row in rows if metric in row.intervals[search]]
    half = f"<br>±{fmean((high - low) / 2 for low, high in between):.3f}" if between else ""
    return f"**{fmean(found):.3f}**<br>{spread}{half}"


def _about(rows: list[Row]) -> str:
    sizes = []
    for name in decoders():
        if own := [row for row in rows if row.decoder == name]:
            minutes = [row.seconds / 60 for row in own if row.seconds is not None]
            took = f", {fmean(minutes):.0f} minutes" if minutes else ""
            epochs = ", ".join(str(row.best_epoch) for row in own)
            million = own[0].parameters / 1e6
            sizes.append(f"`{name}` {million:.2f} million{took} (best epoch {epochs})")
    seeds = ", ".join(str(seed) for seed in sorted({row.seed for row in rows}))
    signatures = sorted({signature for row in rows for signature in row.signatures.values()})
    return (
        f"Mean over seeds {seeds}; below it the smallest to the largest, and below that the half "
        "width of a run's 95% bootstrap interval over images (1,000 draws). "
        f"{max(row.images for row in rows):,} validation images, on which each run's best epoch "
        "was chosen too (by greedy CIDEr). images/s: the search alone, on one core beside others. "
        f"Parameters are the decoder's: {'; '.join(sizes)}. "
        f"Trained on {'; '.join(sorted({row.machine for row in rows}))}.\n\n"
        f"`{'`, `'.join(signatures)}`"
    )


def draw(rows: list[Row], path: Path) -> None:
    """Draw each run's CIDEr and BLEU-4 with its interval, a line for each decoder."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    names = [name for name in decoders() if any(row.decoder == name for row in rows)]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 0.6 + 0.5 * len(names)), sharey=True)
    for axis, metric in zip(axes, ("CIDEr", "BLEU-4"), strict=True):
        for place, name in enumerate(reversed(names)):
            own = [row for row in rows if row.decoder == name]
            for nudge, row in enumerate(own):
                height = place + 0.22 * (nudge - (len(own) - 1) / 2)
                for search, colour in (("beam", "#20639b"), ("greedy", "#b8860b")):
                    low, high = row.intervals[search][metric]
                    axis.plot([low, high], [height, height], color=colour, alpha=0.35, lw=2)
                    axis.plot(row.scores[search][metric], height, "o", color=colour, ms=4)
        axis.set_yticks(range(len(names)), list(reversed(names)))
        axis.set_xlabel(f"{metric}, with its 95% interval")
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right", "left"]].set_visible(False)
    marks = [
        Line2D([], [], color=colour, marker="o", lw=2, label=label)
        for colour, label in (("#20639b", "beam 5"), ("#b8860b", "greedy"))
    ]
    axes[0].legend(handles=marks, frameon=False, loc="upper right", fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
