"""Static explanation (PNG): a panel of attention per word, in rows; or a bar per word without it.

Several captioners stand above each other, as soft above hard attention in Figure 2 of Show, Attend
and Tell (Xu et al., 2015).

Shapes: `T` words, `H x W` a panel's picture. Lengths are in inches.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from cutline.explain.drawing import check_matplotlib
from cutline.explain.explainable import (
    NOT_ATTENDING,
    Array,
    Explainable,
    Word,
    labelled,
    looks,
    share,
    words,
)
from cutline.explain.overlay import Style, highlight, resized
from cutline.files import check_free, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["draw_figure", "explain_png"]

_DPI = 144
_PIXELS = 320  # the longer side of a panel's picture
_COLUMNS, _COLUMNS_OF_SEVERAL = 6, 12  # at most; models are compared in a row each
_SIDE = 2.0  # the longer side of a panel
_GAP = 0.18
_BETWEEN = 0.25  # two captioners
_MARGIN = 0.3
_TITLE = 0.3
_MEMORY = 0.22  # under a panel, where there is a sentinel
_CURVE, _CURVE_TITLE, _CURVE_LEFT = 0.8, 0.3, 0.4  # under all panels, likewise
_BAR = 0.6  # a word's room in the chart of a captioner that does not attend
_NOTE, _WIDEST = 6.4, 12.0  # of that chart: its note in one line, and at most
_LABEL, _LETTER = 8.0, 0.07  # points, and inches a letter: the words under a curve or chart
_LEVEL = 0.2  # their height, where they have room to lie
_LINE = 0.3  # of the heading
_NAME = 0.26  # of a captioner, above its heading
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


class Block(NamedTuple):
    """Content and geometry of one captioner's part; `attention` is (T, h, w) or None."""

    name: str
    caption: Explainable
    attention: Array | None
    heading: list[str]
    rows: int
    top: float
    panel: tuple[float, float]
    below: float
    labels: float

    @property
    def lead(self) -> float:
        """Height of the name and the heading."""
        return _NAME * bool(self.name) + len(self.heading) * _LINE

    @property
    def step(self) -> float:
        """Height of a row."""
        return _TITLE + self.panel[1] + self.below + _GAP

    @property
    def height(self) -> float:
        """Height of all of it."""
        curve = 0.0
        if self.labels:
            curve = self.labels + (0.0 if self.attention is None else _CURVE_TITLE + _CURVE + _GAP)
        return self.lead + self.rows * self.step + curve


class Layout(NamedTuple):
    """Geometry of the figure; the origin is the lower left corner."""

    columns: int
    panel: tuple[float, float]
    blocks: list[Block]

    @property
    def across(self) -> float:
        """Width of a row of panels."""
        return self.columns * (self.panel[0] + _GAP) - _GAP

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        last = self.blocks[-1]
        return self.across + 2 * _MARGIN, 2 * _MARGIN + last.top + last.height + _FOOT

    def top(self, block: Block) -> float:
        """Return the height of a block's upper edge."""
        return self.size[1] - _MARGIN - block.top

    def corner(self, block: Block, index: int) -> tuple[float, float]:
        """Return the lower left corner of a panel."""
        row, column = divmod(index, self.columns)
        y = self.top(block) - block.lead - row * block.step
        return _MARGIN + column * (self.panel[0] + _GAP), y - _TITLE - self.panel[1]


def explain_png(
    image: Image.Image,
    caption: Explainable | Mapping[str, Explainable],
    path: str | Path,
    *,
    style: Style | str = Style.SMOOTH,
    overwrite: bool = False,
) -> None:
    """Write the picture and, for each word, where the captioner looked."""
    check_free(path, overwrite=overwrite)
    figure = draw_figure(image, caption, Style(style))
    with written(path, overwrite=overwrite) as draft:
        figure.savefig(draft, format="png")


def draw_figure(
    image: Image.Image,
    caption: Explainable | Mapping[str, Explainable],
    style: Style = Style.SMOOTH,
) -> "Figure":
    """Return the figure: for each captioner the photograph and T panels, or a chart of T bars."""
    picture = resized(image, _PIXELS)
    layout = _layout(picture, labelled(caption))
    figure = _empty_figure(layout)
    for block in layout.blocks:
        _heading(figure, layout, block)
        _panel(figure, layout, block, 0, picture)
        _titles(figure, layout, block, 0, "the picture", "")
        if block.attention is None:
            _chart(figure, layout, block)
        else:
            _panels(figure, layout, block, picture, style)
    _footer(figure, layout)
    return figure


def _layout(picture: Image.Image, captions: Mapping[str, Explainable]) -> Layout:
    width, height = (max(side / _PIXELS * _SIDE, _NARROWEST) for side in picture.size)
    columns = max(_columns(caption, width, len(captions) > 1) for caption in captions.values())
    layout = Layout(columns, (width, height), [])
    top = 0.0
    for name, caption in captions.items():
        block = _block(layout, name, caption, top)
        layout.blocks.append(block)
        top += block.height + _BETWEEN
    return layout


def _columns(caption: Explainable, width: float, several: bool) -> int:
    """Return the number of panels in a row that one captioner needs; the last row is full."""
    if caption.attention is None:
        room = min(max(_CURVE_LEFT + _BAR * len(caption.words), _NOTE), _WIDEST)
        return 1 + ceil(room / (width + _GAP))
    panels = len(caption.words) + 1
    rows = ceil(panels / (_COLUMNS_OF_SEVERAL if several else _COLUMNS))
    return max(2, ceil(panels / rows))


def _block(layout: Layout, name: str, caption: Explainable, top: float) -> Block:
    attention = looks(caption)
    heading = wrap(caption.text or "(no words)", width=int(layout.across * _LETTERS_PER_INCH))
    if attention is None:
        rows, below = 1, 0.0
        across = layout.across - layout.panel[0] - _GAP - _CURVE_LEFT
        labels = _label_height(caption.words, across)
    else:
        rows = ceil((len(caption.words) + 1) / layout.columns)
        below = _MEMORY * (caption.sentinel is not None)
        labels = _label_height(caption.words, layout.across - _CURVE_LEFT) if below else 0.0
    return Block(name, caption, attention, heading, rows, top, layout.panel, below, labels)


def _panels(
    figure: "Figure", layout: Layout, block: Block, picture: Image.Image, style: Style
) -> None:
    """Draw a panel for each word, and the curve of the sentinel where there is one."""
    assert block.attention is not None
    said = words(block.caption)
    for index, (word, look) in enumerate(zip(said, block.attention, strict=True), start=1):
        lit = highlight(picture, look, block.caption.area, style)
        _panel(figure, layout, block, index, lit)
        _titles(figure, layout, block, index, word.text, word.percent)
        if word.beta is not None:
            _memory(figure, layout, block, index, word)
    if block.labels:
        bottom = layout.top(block) - block.height + _GAP + block.labels
        title = (_MARGIN, bottom + _CURVE + 0.12)
        _write(figure, layout, title, "memory, word by word", size=8.5, color=_SOFT)
        box = (_MARGIN + _CURVE_LEFT, bottom, layout.across - _CURVE_LEFT, _CURVE)
        axes = _shares_by_word(figure, layout, block, box)
        places = range(len(said))
        betas = [word.beta or 0.0 for word in said]
        axes.fill_between(places, betas, color=_ACCENT, alpha=0.15, linewidth=0)
        (line,) = axes.plot(places, betas, color=_ACCENT, linewidth=1.6, clip_on=False)
        line.set(marker="o", markersize=4)


def _chart(figure: "Figure", layout: Layout, block: Block) -> None:
    """Draw the probability of each word as a bar, beside the picture."""
    left, bottom = layout.corner(block, 1)
    right = _MARGIN + layout.across
    title = (left, bottom + layout.panel[1] + 0.07)
    _write(figure, layout, title, NOT_ATTENDING, size=8.5, color=_SOFT)
    said = words(block.caption)
    if not said:
        return
    box = (left + _CURVE_LEFT, bottom, right - left - _CURVE_LEFT, layout.panel[1] - 0.2)
    axes = _shares_by_word(figure, layout, block, box)
    shares = [word.probability for word in said]
    axes.bar(range(len(said)), shares, width=0.6, color=_ACCENT, alpha=0.6)
    if box[2] / len(said) < 0.3:
        return
    for place, word in enumerate(said):
        axes.annotate(
            word.percent,
            (place, word.probability),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            size=_LABEL,
            color=_SOFT,
        )


def _shares_by_word(
    figure: "Figure", layout: Layout, block: Block, box: tuple[float, float, float, float]
) -> "Axes":
    """Return axes from 0% to 100% with the caption's words below; left, bottom, width, height."""
    said = block.caption.words
    axes: Axes = figure.add_axes(_shares(layout, box[:2], box[2:]))
    axes.set(xlim=(-0.5, len(said) - 0.5), ylim=(0, 1), yticks=(0, 0.5, 1))
    axes.set_yticklabels(["0%", "50%", "100%"], size=_LABEL, color=_SOFT)
    turn = 0 if block.labels == _LEVEL else 90
    axes.set_xticks(range(len(said)), [*map(_cut, said)], size=_LABEL, rotation=turn)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=_TRACK)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return axes


def _label_height(said: Sequence[str], across: float) -> float:
    """Return the room for the words under a curve or chart: they lie, or stand upright."""
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


def _panel(
    figure: "Figure", layout: Layout, block: Block, index: int, picture: Image.Image
) -> None:
    axes = figure.add_axes(_shares(layout, layout.corner(block, index), layout.panel))
    axes.imshow(np.asarray(picture))
    axes.set_axis_off()


def _titles(
    figure: "Figure", layout: Layout, block: Block, index: int, left: str, right: str
) -> None:
    """Write a panel's word, and a number at the right in what room it leaves."""
    x, y = layout.corner(block, index)
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


def _memory(figure: "Figure", layout: Layout, block: Block, index: int, word: Word) -> None:
    """Write how much of a look went to the captioner's own memory under its panel."""
    x, y = layout.corner(block, index)
    label = f"memory {word.memory}"
    _write(figure, layout, (x, y - 0.17), label, size=8, color=_SOFT)


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"


def _heading(figure: "Figure", layout: Layout, block: Block) -> None:
    """Write the captioner's name, with the caption's confidence, and the caption."""
    top = layout.top(block)
    if block.name:
        name = f"{block.name}, confidence {share(block.caption.confidence)}"
        _write(figure, layout, (_MARGIN, top - 0.14), name, size=10, color=_ACCENT, weight="bold")
        top -= _NAME
    for number, line in enumerate(block.heading, start=1):
        _write(figure, layout, (_MARGIN, top - number * _LINE + 0.14), line, size=15)


def _footer(figure: "Figure", layout: Layout) -> None:
    first = layout.blocks[0]
    text = []
    if first.caption.words and not first.name:
        text.append(f"Confidence {share(first.caption.confidence)}. ")
    if any(block.attention is not None for block in layout.blocks):
        text.append(_HOW_TO_READ)
    if any(block.below for block in layout.blocks):
        text.append(_OF_MEMORY)
    note = "\n".join(wrap("".join(text), width=int(layout.across * 2.1 * _LETTERS_PER_INCH)))
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
