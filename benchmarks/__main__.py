"""Measure everything, each work plainly and our way, in turns, in one run.

python -m benchmarks [--only beam5 train_soft ...] [--threads 1] [--out FILE.json]

Prints a table, and writes it with the machine to benchmarks/results/latest.json, with a plot
beside it. The machines are noisy: only ratios of one run mean something.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks import decoding, photos, scores
from benchmarks.machine import describe
from benchmarks.report import plot, print_row, print_table, write_page
from benchmarks.work import Row, Work, measure
from cutline.files import write_text

LATEST = Path(__file__).parent / "results" / "latest.json"


def works(only: Sequence[str]) -> Iterator[Work]:
    """Yield the works whose names begin with one of `only`."""
    for part, names in (
        (scores, ("scores", "reward")),
        (photos, ("photo", "features", "folder", "start")),
        (decoding, ("train", "beam5", "greedy")),
    ):
        wanted = [some for some in only if some.startswith(names) or _begins(names, some)]
        if wanted or not only:
            yield from (
                work for work in part.works() if not only or work.name.startswith(tuple(only))
            )


def _begins(names: tuple[str, ...], some: str) -> bool:
    return any(name.startswith(some) for name in names)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="works that begin so")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--out", type=Path, default=None, help="default: results/latest.json")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    rows: list[Row] = []
    for work in works(given.only):
        rows.append(measure(work))
        print_row(rows[-1])
    if not rows:
        print(f"no work begins with {' or '.join(given.only)}", file=sys.stderr)
        return 2
    print_table(rows)
    out = given.out or (None if given.only else LATEST)
    if out is not None:
        facts = {
            "machine": describe(),
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            "rows": [row.json() for row in rows],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, json.dumps(facts, indent=1) + "\n", overwrite=True)
        plot(rows, out.with_suffix(".png"))
        if out == LATEST:
            write_page(rows, describe(), str(facts["date"]))
        print(f"written: {out} and {out.with_suffix('.png').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
