"""The doubly stochastic penalty on Flickr8k: `soft` with several weights, several seeds each.

python -m experiments.flickr8k.penalty --data PATH --weights FILE [--values 0.0,0.1,1.0] [--jobs 2]
python -m experiments.flickr8k.penalty --table

All else is as in `python -m experiments.flickr8k`. Beside the scores, the attention of each run is
measured on the first 100 validation images: its peak, and deletion and insertion curves. OUT/VALUE
holds the runs; the figures go to experiments/results/penalty.json and into docs/results.md.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cutline.captioner import load
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError
from cutline.evaluation import measure_faithfulness
from cutline.files import write_text
from experiments.flickr8k.__main__ import FLICKR8K, place_arguments, places
from experiments.flickr8k.table import PAGE, ROOT, Row
from experiments.records import read_records, write_between, write_records
from experiments.runs import Kept, Plan, arguments, finish_all, plans

RESULTS = ROOT / "experiments" / "results" / "penalty.json"
BEGIN = "<!-- penalty: written by python -m experiments.flickr8k.penalty; do not edit -->"
END = "<!-- /penalty -->"
IMAGES = 100  # whose attention is measured


@dataclass(frozen=True, kw_only=True)
class Measured(Row):
    """A run of `soft`, the `penalty` it was trained with, and what its attention was found to be.

    `attention` has the mean `peak` and the areas under `deletion` and `insertion` curves by order.
    """

    penalty: float
    attention: dict[str, Any]


def _plans(given: argparse.Namespace, value: str) -> list[Plan]:
    """Plan the runs of one weight, in a folder of its own."""
    own = argparse.Namespace(**vars(given))
    own.out = given.out / value
    own.changes = [*given.changes, f"decoder.penalty={value}"]
    own.out.mkdir(parents=True, exist_ok=True)
    return plans(FLICKR8K, own, places=places(given))


def look(plan: Plan) -> Kept:
    """Measure the attention of a finished run, unless that was done before."""
    path = plan.beside(".attention.json")
    if path.is_file():
        kept: Kept = json.loads(path.read_text(encoding="utf-8"))
        return kept
    captioner = load(plan.beside("") / "best", threads=1)
    examples = open_dataset(read_recipe(plan.recipe, plan.words).data.path).split("val")[:IMAGES]
    squares = [captioner.square(e.picture.open()) for e in examples]
    captions = captioner.caption_squares(squares, captioner.search())
    best = (found[0] for found in captions)
    found = measure_faithfulness(captioner, zip(squares, best, strict=True)).to_dict()
    kept = {"peak": found["peak"]} | {
        curve: {order: of["area"] for order, of in found[curve].items()}
        for curve in ("deletion", "insertion")
    }
    write_text(path, json.dumps(kept, indent=1) + "\n")
    return kept


def table(runs: Sequence[Measured]) -> str:
    """Return the table in Markdown: means over seeds, with the smallest and the largest."""
    if not runs:
        return "Not measured yet: `python -m experiments.flickr8k.penalty --data PATH` does it."
    columns: dict[str, Callable[[Measured], float]] = {
        "CIDEr": lambda run: run.scores["beam"]["CIDEr"],
        "BLEU-4": lambda run: run.scores["beam"]["BLEU-4"],
        "peak": lambda run: run.attention["peak"],
        "deletion (less is better)": lambda run: run.attention["deletion"]["attention"],
        "centre": lambda run: run.attention["deletion"]["centre"],
        "insertion (more is better)": lambda run: run.attention["insertion"]["attention"],
        "centre ": lambda run: run.attention["insertion"]["centre"],
    }
    lines = [f"| penalty | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for penalty in sorted({run.penalty for run in runs}):
        own = [run for run in runs if run.penalty == penalty]
        cells = [_cell([column(run) for run in own]) for column in columns.values()]
        half = fmean((high - low) / 2 for low, high in (r.intervals["beam"]["CIDEr"] for r in own))
        cells[0] += f"<br>±{half:.3f}"
        lines.append(f"| {penalty:g} | {' | '.join(cells)} |")
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
    return "\n".join(lines) + (
        f"\n\nMean over seeds {seeds}, and the smallest to the largest; under CIDEr also the half "
        "width of a run's 95% bootstrap interval over images. Scores: beam 5, "
        f"{max(run.images for run in runs):,} validation images. Attention: the first {IMAGES} of "
        "them; the peak is the mean largest weight (1/49 = 0.020 is uniform)."
    )


def _cell(values: Sequence[float]) -> str:
    spread = f"<br>{min(values):.3f}–{max(values):.3f}" if len(values) > 1 else ""
    return f"**{fmean(values):.3f}**{spread}"


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when some failed, 2 when nothing could be begun."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.flickr8k.penalty",
        description="Train soft on Flickr8k with several weights of the doubly stochastic penalty.",
    )
    arguments(parser, out="runs/penalty", only=["soft"])
    parser.add_argument("--values", default="0.0,0.1,1.0", help="default: 0.0,0.1,1.0")
    place_arguments(parser)
    given = parser.parse_intermixed_args(words)
    if given.table:
        write_between(PAGE, BEGIN, END, table(read_records(Measured, RESULTS)))
        return 0
    runs: list[Measured] = []
    try:
        asked = [plan for value in given.values.split(",") for plan in _plans(given, value)]
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    by_run = {(plan.digest, plan.seed): plan for plan in asked}
    for kept in finish_all(asked):
        plan = by_run[kept["digest"], kept["seed"]]
        penalty = float(plan.changes[-1].partition("=")[2])
        runs.append(Measured.of({**kept, "penalty": penalty, "attention": look(plan)}))
        write_records(given.out / RESULTS.name, runs)
    if len(runs) == len(asked) and not given.images:
        write_records(RESULTS, runs)
        write_between(PAGE, BEGIN, END, table(runs))
    return 0 if len(runs) == len(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
