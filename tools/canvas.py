"""What the drawings of the captioners are made of: one shape and one colour for each kind of thing.

Lengths are in units of the canvas, 12 wide and 6.4 high; the origin is the lower left corner.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path

WIDTH, HEIGHT = 12.0, 6.4
INCH = 0.8  # a unit
PAPER, INK, NOTE = "#faf8f4", "#1c1b1a", "#66615a"
# edge and filling
IMAGE = ("#2c6a94", "#dcebf6")
LOOK = ("#6a4a9c", "#eae2f6")
STATE = ("#b4541f", "#f9e3d6")
WORD = ("#39764a", "#dff0e2")
ANSWER = ("#55514b", "#ece7de")
SOFT_LOOK = [0.05, 0.1, 0.1, 0.05, 0.15, 0.75, 0.45, 0.1, 0.15, 0.9, 0.5, 0.1, 0.05, 0.2, 0.1, 0.05]

Colours = tuple[str, str]
Point = tuple[float, float]


class Canvas:
    """A light sheet: legible on light and on dark pages."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH * INCH, HEIGHT * INCH), facecolor="none")
        FigureCanvasSVG(self.figure)  # not pyplot: no window, no global state
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        self.axes.set_axis_off()
        self._rounded(WIDTH / 2, HEIGHT / 2, WIDTH - 0.1, HEIGHT - 0.1, ("#d9d3c8", PAPER), 0.15)

    def svg(self) -> str:
        """Return the drawing as SVG, its letters as outlines: no typeface is needed."""
        text = io.StringIO()
        with rc_context({"svg.hashsalt": "cutline", "mathtext.fontset": "dejavusans"}):
            self.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        return re.sub(r"\s*\n\s*", "\n", text.getvalue())  # without its indents

    # --- things

    def box(
        self,
        x: float,
        y: float,
        text: str,
        colours: Colours,
        *,
        width: float = 1.5,
        height: float = 0.62,
        size: float = 12,
    ) -> None:
        """Draw something that computes."""
        self._rounded(x, y, width, height, colours, 0.08)
        if text:
            self.text(x, y, text, size=size)

    def pill(self, x: float, y: float, text: str, colours: Colours, *, width: float = 1.3) -> None:
        """Draw something that is handed on: a word, a state."""
        self._rounded(x, y, width, 0.62, colours, 0.31)
        self.text(x, y, text, size=12)

    def node(self, x: float, y: float, sign: str, colours: Colours = ANSWER) -> None:
        """Draw a sum or a product."""
        self._add(Circle((x, y), 0.2, facecolor=colours[1], edgecolor=colours[0], linewidth=1.4))
        self.text(x, y, sign, size=13)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 11,
        color: str = INK,
        align: str = "center",
        weight: str = "normal",
    ) -> None:
        """Write; `align` says where (x, y) stands in the text: left, center or right."""
        self.axes.text(
            x, y, text, size=size, color=color, ha=align, va="center", weight=weight, zorder=9
        )

    def note(self, x: float, y: float, text: str, *, align: str = "left") -> None:
        """Write beside an arrow what it carries."""
        self.text(x, y, text, size=10.5, color=NOTE, align=align)

    # --- pictures

    def photo(self, left: float, bottom: float, side: float) -> None:
        """Draw a picture: a sun over a hill."""

        def corner(points: Sequence[Point]) -> list[Point]:
            return [(left + x * side, bottom + y * side) for x, y in points]

        sky = Rectangle((left, bottom), side, side, facecolor="#cfe4f2", linewidth=0)
        hills = [
            (corner([(0, 0), (0, 0.3), (0.35, 0.68), (0.7, 0.25), (0.7, 0)]), "#6f9a6b"),
            (corner([(0.4, 0), (0.7, 0.45), (1, 0.2), (1, 0)]), "#4c7a56"),
        ]
        self._add(sky)
        self._add(Circle(corner([(0.74, 0.76)])[0], 0.11 * side, facecolor="#f0b541", linewidth=0))
        for points, colour in hills:
            self._add(Polygon(points, facecolor=colour, linewidth=0))
        self._frame(left, bottom, side, side, IMAGE[0])

    def cells(
        self,
        left: float,
        bottom: float,
        side: float,
        colours: Colours = IMAGE,
        *,
        weights: Sequence[float] | None = None,
        rows: int = 4,
        columns: int = 4,
    ) -> None:
        """Draw a grid of regions, or how much each is looked at (weights of 0 to 1, row by row)."""
        size = side / columns
        height = rows * size
        self._add(Rectangle((left, bottom), side, height, facecolor=colours[1], linewidth=0))
        for number, weight in enumerate(weights or ()):
            if weight:
                row, column = divmod(number, columns)
                place = (left + column * size, bottom + (rows - 1 - row) * size)
                cell = Rectangle(place, size, size, facecolor=colours[0], linewidth=0)
                cell.set_alpha(weight)
                self._add(cell)
        ends: list[Point] = []
        for row in range(1, rows):
            ends += [(left, bottom + row * size), (left + side, bottom + row * size)]
        for column in range(1, columns):
            ends += [(left + column * size, bottom), (left + column * size, bottom + height)]
        if ends:
            codes = [Path.MOVETO, Path.LINETO] * (len(ends) // 2)
            self._add(PathPatch(Path(ends, codes), edgecolor=colours[0], linewidth=0.7))
        self._frame(left, bottom, side, height, colours[0])

    def bars(self, x: float, bottom: float, shares: Sequence[float]) -> None:
        """Draw how probable some words are."""
        for number, share in enumerate(shares):
            left = x + 0.2 * (number - len(shares) / 2) + 0.025
            bar = Rectangle((left, bottom), 0.15, share, facecolor=WORD[0], linewidth=0)
            self._add(bar)
        half = 0.1 * len(shares) + 0.08
        self.line([(x - half, bottom), (x + half, bottom)], ANSWER[0], width=1.2)

    # --- lines

    def arrow(
        self,
        *points: Point,
        colours: Colours = ANSWER,
        once: bool = False,
        over: Point | None = None,
    ) -> None:
        """Draw an arrow along points, its tip on the last; dashed if it happens only `once`.

        A line that runs across at `over` gets a gap there.
        """
        if over:
            x, y = over
            self.line([(x, y - 0.1), (x, y + 0.1)], PAPER, width=7)
        (x, y), tip = points[-2:]
        length = abs(tip[0] - x) + abs(tip[1] - y)  # along one axis
        share = 0.14 / length
        neck = (tip[0] + (x - tip[0]) * share, tip[1] + (y - tip[1]) * share)
        self.line([*points[:-1], neck], colours[0], dashed=once)
        half = 0.07
        sides = (
            [(neck[0], neck[1] - half), (neck[0], neck[1] + half)]
            if tip[1] == y
            else [(neck[0] - half, neck[1]), (neck[0] + half, neck[1])]
        )
        self._add(Polygon([tip, *sides], facecolor=colours[0], linewidth=0))

    def line(
        self, points: Sequence[Point], color: str, *, width: float = 1.5, dashed: bool = False
    ) -> None:
        """Draw a line along points."""
        path = PathPatch(Path(points), fill=False, edgecolor=color, linewidth=width)
        path.set_linestyle((0, (3.2, 2.2)) if dashed else "solid")
        path.set_capstyle("butt")
        self._add(path)

    def dot(self, x: float, y: float, colours: Colours = ANSWER) -> None:
        """Mark where one line becomes two."""
        self._add(Circle((x, y), 0.055, facecolor=colours[0], linewidth=0))

    def _rounded(
        self, x: float, y: float, width: float, height: float, colours: Colours, radius: float
    ) -> None:
        shape = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={radius}",
            edgecolor=colours[0],
            facecolor=colours[1],
            linewidth=1.4,
        )
        self._add(shape)

    def _frame(
        self, left: float, bottom: float, width: float, height: float, color: str, line: float = 1.4
    ) -> None:
        frame = Rectangle(
            (left, bottom), width, height, fill=False, edgecolor=color, linewidth=line
        )
        self._add(frame)

    def _add(self, patch: Any) -> None:
        patch.set_clip_on(False)  # nothing lies outside, and each clip is written out
        patch.set_zorder(1 + len(self.axes.patches) / 1000)  # what is drawn later lies above
        self.axes.add_patch(patch)
