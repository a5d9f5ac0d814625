"""What came of the captioners' runs: the file that keeps it, and the table that shows it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.runs import decoders
from cutline.cli.console import atomic_text

__all__ = ["PAGE", "RESULTS", "Run", "merge", "read_runs", "table", "write_page"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "captioners.json"
PAGE = ROOT / "docs" / "captioners.md"
BEGIN = "<!-- scores: written by benchmarks/captioners.py; do not edit -->"
END = "<!-- /scores -->"


@dataclass(frozen=True)
class Run:
    """One captioner, one seed.

    `seconds` of training are unknown where a run was killed and resumed; `jobs` ran beside each
    other; `digest` tells the recipe.
    """

    decoder: str
    seed: int
    scores: dict[str, float]
    signature: str
    images: int
    parameters: int
    best_epoch: int
    seconds: float | None
    jobs: int
    machine: str
    digest: str

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Run":
        """Read one back; what is kept beside is left out."""
        return cls(**{field.name: kept[field.name] for field in fields(cls)})

    def __str__(self) -> str:
        pointing = self.scores.get("pointing")
        parts = [
            f"truth {self.scores['truth']:.3f}",
            *([] if pointing is None else [f"pointing {pointing:.3f}"]),
            f"CIDEr {self.scores['CIDEr']:.3f}",
            f"BLEU-4 {self.scores['BLEU-4']:.3f}",
            f"best epoch {self.best_epoch}",
            "resumed" if self.seconds is None else f"{self.seconds:.0f} s",
        ]
        return ", ".join(parts)


# --- the file


def read_runs(path: Path) -> list[Run]:
    """Read the runs of a file; of one that does not exist, none."""
    if not path.is_file():
        return []
    return [Run.of(run) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def write_runs(path: Path, runs: Iterable[Run]) -> None:
    """Write runs in the order of the table."""
    rows = [asdict(run) for run in _sorted(runs)]
    atomic_text(path, json.dumps({"runs": rows}, indent=1) + "\n", force=True)


def merge(old: Iterable[Run], new: Iterable[Run], digests: Mapping[str, str]) -> list[Run]:
    """Put new runs in the place of old ones; leave out those of recipes that have changed."""
    runs = {(run.decoder, run.seed): run for run in [*old, *new]}
    return _sorted(run for run in runs.values() if digests.get(run.decoder) == run.digest)


def _sorted(runs: Iterable[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (decoders().index(run.decoder), run.seed))


# --- the table


def table(runs: list[Run]) -> str:
    """Return the scores in Markdown: means over seeds, with the smallest and the largest."""
    if not runs:
        return "Not measured yet: `python -m benchmarks.captioners --jobs 2` does it."
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
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    atomic_text(page, f"{before}{BEGIN}\n\n{table(runs)}\n\n{END}{after}", force=True)
