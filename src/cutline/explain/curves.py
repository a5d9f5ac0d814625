"""Learning curves (PNG): losses and scores of several runs by epoch, a panel for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cutline.errors import DataError
from cutline.explain.drawing import check_matplotlib
from cutline.files import check_free, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves_png", "draw_curves"]

Rows = Sequence[Mapping[str, float]]

_WIDTH, _HEIGHT, _LINE, _DPI = 4.4, 3.4, 0.24, 144  # inches of a panel and of a row of the legend
_PER_WORD = "cross_entropy_per_word"
_PER_CAPTION = "cross_entropy_per_caption"
# The panels, and of each the figures in it: how the name begins, the line's style, its legend.
_PANELS = {
    "loss per word (nats)": [
        (f"train/{_PER_WORD}", "-", "training"),
        (f"val/teacher_forced_{_PER_WORD}", "--", "validation"),
    ],
    "loss per caption (nats)": [
        (f"train/{_PER_CAPTION}", "-", "training"),
        (f"val/teacher_forced_{_PER_CAPTION}", "--", "validation"),
    ],
    "training loss, as minimised": [("train/loss", "-", "training")],
    "reward (CIDEr-D)": [("train/reward", "-", "training")],
    "CIDEr": [("val/cider", "--", "validation")],
    "BLEU-4": [("val/bleu", "--", "validation")],
}


def curves_png(runs: Mapping[str, Rows], path: str | Path, *, overwrite: bool = False) -> None:
    """Write learning curves as a PNG.

    Args:
        runs: the figures after each epoch (`epoch`, `train/...`, `val/...`) by the run's label.
        path: of the PNG; missing folders are made.
        overwrite: whether an existing file may be replaced.

    Raises:
        DataError: the runs have no figure to draw.
        UsageError: the file exists, without `overwrite`.
        MissingDependencyError: matplotlib is not installed.
    """
    check_free(path, overwrite=overwrite)
    figure = draw_curves(runs)
    with written(path, overwrite=overwrite) as draft:
        figure.savefig(draft, format="png", dpi=_DPI)


def draw_curves(runs: Mapping[str, Rows]) -> "Figure":
    """Draw the curves of `curves_png`: training is a solid line, validation a dashed one."""
    check_matplotlib("A picture of curves", otherwise="")
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    panels = [(title, lines) for title, lines in _PANELS.items() if _any(runs, lines)]
    if not panels:
        raise DataError("These runs have no loss and no score of an epoch to draw.")
    legend = _LINE * (len(runs) + 1)
    size = (_WIDTH * len(panels), _HEIGHT + legend)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (title, lines) in zip(axes, panels, strict=True):
        for number, rows in enumerate(runs.values()):
            for name, style, _ in lines:
                _draw_line(panel, rows, name, style, f"C{number}")
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
    kinds = {kind: style for _, lines in panels for _, style, kind in lines}
    keys = [Line2D([], [], color=f"C{number}", label=label) for number, label in enumerate(runs)]
    keys += [Line2D([], [], color="0.3", ls=style, label=kind) for kind, style in kinds.items()]
    figure.legend(handles=keys, loc="outside lower left", fontsize=9, frameon=False)
    return figure


def _draw_line(panel: "Axes", rows: Rows, name: str, style: str, colour: str) -> None:
    points = [(row["epoch"], value) for row in rows if (value := _figure(row, name)) is not None]
    if points:
        marker = "o" if len(points) == 1 else ""  # a line of one point cannot be seen
        panel.plot(*zip(*points, strict=True), ls=style, color=colour, marker=marker, lw=1.6)


def _any(runs: Mapping[str, Rows], lines: Sequence[tuple[str, str, str]]) -> bool:
    found = (_figure(row, name) for rows in runs.values() for row in rows for name, _, _ in lines)
    return any(value is not None for value in found)


def _figure(row: Mapping[str, float], name: str) -> float | None:
    """Return a figure by its name, or a score whose name says the search too (`cider_beam_5`)."""
    if name in row or name.startswith("train/") or name.endswith(("_word", "_caption")):
        return row.get(name)
    return next((value for key, value in row.items() if key.startswith(name)), None)
