"""The table and the plot of what was measured."""

import sys
from collections.abc import Mapping
from pathlib import Path

from experiments.records import write_between
from rich.console import Console
from rich.table import Table

from benchmarks.work import Row

__all__ = ["plot", "print_row", "print_table", "write_page"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by make bench; do not edit -->", "<!-- /figures -->"


def print_row(row: Row) -> None:
    """Say on standard error that a work is done."""
    times = "" if row.ratio is None else f", {row.ratio:.1f}x"
    print(f"{row.work} {row.dtype}: {row.ours:g} {row.unit}{times}", file=sys.stderr, flush=True)


def print_table(rows: list[Row]) -> None:
    """Print all of them."""
    table = Table("work", "dtype", "plain", "ours", "unit", "ratio", "of the floor", "note")
    for row in rows:
        table.add_row(
            row.work,
            row.dtype,
            "-" if row.plain is None else f"{row.plain:g}",
            f"{row.ours:g}",
            row.unit,
            "-" if row.ratio is None else f"{row.ratio:.1f}x",
            "-" if row.floor_share is None else f"{row.floor_share:.0%}",
            row.note,
        )
    Console().print(table)


def write_page(
    rows: list[Row], machine: Mapping[str, object], date: str, page: Path = PAGE
) -> None:
    """Put the table into docs/performance.md, between its two marks."""
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [
        "| work | | plain | ours | ratio | of the floor |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{row.work}` | {row.dtype} | {_cell(row.plain)} | {_cell(row.ours)} {row.unit} "
            f"| {_cell(row.ratio, '{:.1f}x')} | {_cell(row.floor_share, '{:.0%}')} |"
            for row in rows
        ),
        "",
        f"{date}; {about}.",
    ]
    notes = {row.work: row.note for row in rows if row.note}
    lines += ["", *(f"- `{work}`: {note}" for work, note in notes.items())]
    write_between(page, BEGIN, END, "\n".join(lines))


def _cell(value: float | None, form: str = "{:g}") -> str:
    return "" if value is None else form.format(value)


def plot(rows: list[Row], path: Path) -> None:
    """Draw how many times as fast ours is."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    compared = [row for row in rows if row.ratio is not None][::-1]
    if not compared:
        return
    colours = {"float32": "#4878a8", "bfloat16": "#d08040", "int8": "#60a060"}
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.32 * len(compared)), layout="constrained")
    labels = [f"{row.work} ({row.dtype})" for row in compared]
    bars = axes.barh(
        labels, [row.ratio or 0 for row in compared], color=[colours[row.dtype] for row in compared]
    )
    axes.bar_label(bars, [f"{row.ratio:.1f}x" for row in compared], padding=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(x=0.12)
    axes.set_xlabel("times as fast as the plain way, in the same run")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
