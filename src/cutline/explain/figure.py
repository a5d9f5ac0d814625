"""Static explanation (PNG): a panel of attention per word, in rows.

Shapes: `T` words, `H x W` a panel's picture. Lengths are in inches.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from cutline.explain.drawing import check_matplotlib
from cutline.explain.explainable import Explainable, Word, looks, share, words
from cutline.explain.overlay import resized, spotlight, spread
from cutline.files import check_free, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["draw_figure", "explain_png"]

_DPI = 144
_PIXELS = 320  # the longer side of a panel's picture
_COLUMNS = 6
_SIDE = 2.0  # the longer side of a panel
_GAP = 0.18
_MARGIN = 0.3
_TITLE = 0.3
_MEMORY = 0.22  # under a panel, where there is a sentinel
_CURVE, _CURVE_TITLE, _CURVE_LEFT = 0.8, 0.3, 0.4  # under all panels, likewise
_LABEL, _LETTER = 8.0, 0.07  # points, and inches a letter: the words under the curve
_LEVEL = 0.2  # their height, where they have room to lie
_LINE = 0.3  # of the heading
_FOOT = 0.3
_LONGEST = 14  # letters of a word under the curve
_SMALLEST = 6.5  # points; a longer word is cut
_NARROWEST = 1.3  # a panel has room for its word
_LETTERS_PER_INCH = 9.0  # in the heading

_INK, _SOFT, _TRACK, _ACCENT = "#1c1b1a", "#77736d", "#e7e3dc", "#b4541f"
_HOW_TO_READ = (
    "In colour: where it looked, for each word relative to its own brightest place. "
    "The line is at half of that."
)
_OF_MEMORY = " Memory: how much of the look went to its own memory instead of the picture."


class Layout(NamedTuple):
    """Geometry of the figure in inches; the origin is the lower left corner."""

    columns: int
    rows: int
    panel: tuple[float, float]
    below: float
    labels: float
    heading: list[str]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        width = self.columns * (self.panel[0] + _GAP) - _GAP + 2 * _MARGIN
        top = len(self.heading) * _LINE
        curve = _CURVE_TITLE + _CURVE + self.labels + _GAP if self.labels else 0.0
        return width, 2 * _MARGIN + top + self.rows * self.step + curve + _FOOT

    @property
    def step(self) -> float:
        """Height of a row."""
        return _TITLE + self.panel[1] + self.below + _GAP

    def corner(self, index: int) -> tuple[float, float]:
        """Lower left corner of a panel's picture."""
        row, column = divmod(index, self.columns)
        left = _MARGIN + column * (self.panel[0] + _GAP)
        top = self.size[1] - _MARGIN - len(self.heading) * _LINE - row * self.step
        return left, top - _TITLE - self.panel[1]


def explain_png(
    image: Image.Image, caption: Explainable, path: str | Path, *, overwrite: bool = False
) -> None:
    """Write a PNG: the photograph with its caption, then where the captioner looked, by word."""
    check_free(path, overwrite=overwrite)
    figure = draw_figure(image, caption)
    with written(path, overwrite=overwrite) as draft:
        figure.savefig(draft, format="png")


def draw_figure(image: Image.Image, caption: Explainable) -> "Figure":
    """Return the figure: T + 1 panels, the first of which is the photograph itself."""
    attention = looks(caption)
    picture = resized(image, _PIXELS)
    layout = _layout(picture, caption)
    figure = _empty_figure(layout)
    _heading(figure, layout)
    _panel(figure, layout, 0, picture)
    _titles(figure, layout, 0, "the picture", "")
    for index, (word, look) in enumerate(zip(words(caption), attention, strict=True), start=1):
        light = spread(look, caption.area, picture.size)
        _panel(figure, layout, index, spotlight(picture, light))
        _titles(figure, layout, index, word.text, word.percent)
        if word.beta is not None:
            _memory(figure, layout, index, word)
    if layout.labels:
        _curve(figure, layout, words(caption))
    _footer(figure, layout, caption)
    return figure


def _layout(picture: Image.Image, caption: Explainable) -> Layout:
    panels = len(caption.words) + 1
    rows = ceil(panels / _COLUMNS)
    columns = max(2, ceil(panels / rows))  # the last row is as full as can be
    width, height = (max(side / _PIXELS * _SIDE, _NARROWEST) for side in picture.size)
    across = columns * (width + _GAP) - _GAP
    heading = wrap(caption.text or "(no words)", width=int(across * _LETTERS_PER_INCH))
    remembers = caption.sentinel is not None
    labels = _label_height(caption.words, across - _CURVE_LEFT) if remembers else 0.0
    return Layout(columns, rows, (width, height), _MEMORY * remembers, labels, heading)


def _label_height(said: Sequence[str], across: float) -> float:
    """Return the room for the words under the curve: they lie, or stand upright."""
    longest = min(max(map(len, said), default=0), _LONGEST) * _LETTER
    if longest + 0.1 < across / max(len(said), 1):
        return _LEVEL if said else 0.0
    return longest + 0.15


def _empty_figure(layout: Layout) -> "Figure":
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=layout.size, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)  # not pyplot: no window, no global state, any thread
    return figure


def _panel(figure: "Figure", layout: Layout, index: int, picture: Image.Image) -> None:
    axes = figure.add_axes(_shares(layout, layout.corner(index), layout.panel))
    axes.imshow(np.asarray(picture))
    axes.set_axis_off()


def _titles(figure: "Figure", layout: Layout, index: int, left: str, right: str) -> None:
    """Write a panel's word, and a number at the right in what room it leaves."""
    x, y = layout.corner(index)
    width, height = layout.panel
    number = _write(figure, layout, (x + width, y + height + 0.07), right, size=8.5, color=_SOFT)
    number.set_horizontalalignment("right")
    room = width - _width(figure, number) - 0.08
    weight = "bold" if index else "normal"
    title = _write(figure, layout, (x, y + height + 0.07), left, size=11, weight=weight)
    fitting = 11.0 * room / max(_width(figure, title), 1e-6)
    title.set_fontsize(min(11.0, max(_SMALLEST, fitting)))
    if fitting < _SMALLEST:
        title.set_text(left[: int(len(left) * fitting / _SMALLEST) - 1] + "…")


def _memory(figure: "Figure", layout: Layout, index: int, word: Word) -> None:
    """Write how much of a look went to the captioner's own memory under its panel."""
    x, y = layout.corner(index)
    label = f"memory {word.memory}"
    _write(figure, layout, (x, y - 0.17), label, size=8, color=_SOFT)


def _curve(figure: "Figure", layout: Layout, said: Sequence[Word]) -> None:
    """Draw the same for the whole caption, as a curve under all panels."""
    across = layout.size[0] - 2 * _MARGIN - _CURVE_LEFT
    bottom = _MARGIN + _FOOT + _GAP + layout.labels
    title = (_MARGIN, bottom + _CURVE + 0.12)
    _write(figure, layout, title, "memory, word by word", size=8.5, color=_SOFT)
    corner = (_MARGIN + _CURVE_LEFT, bottom)
    axes: Axes = figure.add_axes(_shares(layout, corner, (across, _CURVE)))
    places = range(len(said))
    betas = [word.beta or 0.0 for word in said]
    axes.fill_between(places, betas, color=_ACCENT, alpha=0.15, linewidth=0)
    axes.plot(places, betas, color=_ACCENT, linewidth=1.6, marker="o", markersize=4, clip_on=False)
    axes.set(xlim=(-0.5, len(said) - 0.5), ylim=(0, 1), yticks=(0, 0.5, 1))
    axes.set_yticklabels(["0%", "50%", "100%"], size=_LABEL, color=_SOFT)
    turn = 0 if layout.labels == _LEVEL else 90
    axes.set_xticks(places, [_cut(word.text) for word in said], size=_LABEL, rotation=turn)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=_TRACK)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"


def _heading(figure: "Figure", layout: Layout) -> None:
    top = layout.size[1] - _MARGIN
    for number, line in enumerate(layout.heading, start=1):
        _write(figure, layout, (_MARGIN, top - number * _LINE + 0.14), line, size=15)


def _footer(figure: "Figure", layout: Layout, caption: Explainable) -> None:
    across = layout.size[0] - 2 * _MARGIN
    sure = f"Confidence {share(caption.confidence)}, the geometric mean of the words' percents. "
    text = (sure if caption.words else "") + _HOW_TO_READ + (_OF_MEMORY if layout.below else "")
    note = "\n".join(wrap(text, width=int(across * 2.1 * _LETTERS_PER_INCH)))
    label = _write(figure, layout, (_MARGIN, _MARGIN + _FOOT), note, size=7.5, color=_SOFT)
    label.set_verticalalignment("top")


def _write(
    figure: "Figure",
    layout: Layout,
    place: tuple[float, float],
    text: str,
    *,
    size: float,
    color: str = _INK,
    weight: str = "normal",
) -> "Text":
    x, y = place[0] / layout.size[0], place[1] / layout.size[1]
    # A dollar sign in a caption is a dollar sign, not mathematics.
    return figure.text(x, y, text, size=size, color=color, weight=weight, parse_math=False)


def _width(figure: "Figure", text: "Text") -> float:
    return float(text.get_window_extent().width) / figure.dpi


def _shares(
    layout: Layout, corner: tuple[float, float], size: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return a rectangle in inches as shares of the figure: left, bottom, width, height."""
    (x, y), (width, height), (across, up) = corner, size, layout.size
    return x / across, y / up, width / across, height / up
