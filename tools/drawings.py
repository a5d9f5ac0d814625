"""Draw one time step of each captioner into docs/images/captioner_NAME.svg.

python tools/drawings.py [FOLDER]

In all of them time runs from left to right along the state, the picture comes from the upper left,
the word that is read from below, and the answer stands at the upper right. So attention left of
the recurrence looks before the word is read, and attention right of it looks after.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from canvas import ANSWER, IMAGE, LOOK, SOFT_LOOK, STATE, WORD, Canvas

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"

# where things stand
TIME, ROW, TOP = 2.1, 3.6, 4.75  # heights: of the state, of attention, of the pictures' lower edge
PREVIOUS, BEFORE, GATE, CELL, AFTER, OUT, NEXT = 0.98, 3.6, 5.0, 6.15, 7.9, 9.5, 11.05
CELL_LEFT, CELL_RIGHT, CELL_TOP = CELL - 0.8, CELL + 0.8, TIME + 0.6
PORT = TIME + 0.32  # where the cell takes in the picture
EYE = TOP + 0.6
EDGE = 1.0  # from the middle of attention to its sides
OLD, BOTH_OLD = "$h_{t-1}$", "$h_{t-1}, c_{t-1}$"


def rnn() -> Canvas:
    """Draw a state that starts from the picture."""
    canvas = _begin("rnn", "begins with the picture, never looks again")
    _pooled(canvas)
    _time(canvas, "RNN\ntanh", before=OLD, after="$h_t$")
    _start(canvas, BEFORE, "$h_0 = W_p\\,v + b_p$")
    _read(canvas, "$x_t$")
    _answer(canvas, "$W_v$")
    return canvas


def nic() -> Canvas:
    """Draw a picture that is read as if it were the first word."""
    canvas = _begin("nic", "reads the picture as its first word")
    _pooled(canvas)
    _time(canvas, "LSTM", zeros=True)
    canvas.arrow((BEFORE, TOP), (BEFORE, ROW + 0.31), colours=IMAGE, once=True)
    canvas.arrow((BEFORE, ROW - 0.31), (BEFORE, PORT), (CELL_LEFT, PORT), colours=IMAGE, once=True)
    canvas.box(BEFORE, ROW, "$W_i$", IMAGE, width=0.9)
    canvas.note(BEFORE + 0.12, PORT + 0.27, "$x_{-1}$, a first word")
    _read(canvas, "$x_t$")
    _answer(canvas, "$W_v$")
    return canvas


def dot() -> Canvas:
    """Draw dot products of the old state and the projected grid."""
    canvas = _begin("dot", "looks, then reads")
    _grid(canvas, "$A = W_p\\,a + b_p$")
    _time(canvas, "LSTM")
    _start(canvas, BEFORE - 0.4, "$h_0 = c_0 =$ mean of $A$")
    _look_before(canvas, "dot\nproducts", SOFT_LOOK)
    canvas.arrow((BEFORE + EDGE, ROW), (CELL, ROW), (CELL, CELL_TOP), colours=LOOK)
    canvas.note(5.4, ROW + 0.27, "$x_{attn}$", align="center")
    _read(canvas, "$x_t$")
    _answer(canvas, "$W_v$")
    return canvas


def soft() -> Canvas:
    """Draw a look at the expected region, through a gate."""
    canvas = _begin("soft", "looks a little everywhere, then reads")
    _show_attend_and_tell(canvas, SOFT_LOOK)
    canvas.dot(GATE, TIME, STATE)
    canvas.arrow((GATE, TIME), (GATE, ROW - 0.2), colours=STATE)
    canvas.node(GATE, ROW, "$\\times$", LOOK)
    canvas.note(GATE, ROW + 0.42, "gate $\\beta_t$", align="center")
    return canvas


def hard() -> Canvas:
    """Draw a look at one region."""
    canvas = _begin("hard", "looks at one region, then reads")
    _show_attend_and_tell(canvas, [float(region == 9) for region in range(16)])
    canvas.note(5.35, ROW + 0.27, "draw $s_t \\sim \\alpha_t$", align="center")
    return canvas


def spatial() -> Canvas:
    """Draw a look with the new state, for the answer only."""
    canvas = _begin("spatial", "reads, then looks")
    _read_then_look(canvas, "additive\nattention", "$c_t$")
    return canvas


def adaptive() -> Canvas:
    """Draw a look that may go to the LSTM's own memory."""
    canvas = _begin("adaptive", "reads, then looks, or asks its memory")
    _read_then_look(canvas, "   regions\n   or $s_t$", "$\\hat{c}_t$")
    canvas.cells(AFTER - 0.27, ROW - 0.07, 0.145, STATE, weights=[0.6], rows=1, columns=1)
    canvas.arrow((CELL, CELL_TOP), (CELL, ROW - 0.31), colours=STATE)
    canvas.note(CELL + 0.12, 2.98, "$m_t$")
    canvas.box(CELL, ROW, "$s_t$", STATE, width=0.8)
    canvas.arrow((CELL + 0.4, ROW), (AFTER - EDGE, ROW), colours=STATE)
    canvas.note(CELL - 0.52, ROW + 0.13, "sentinel,", align="right")
    canvas.note(CELL - 0.52, ROW - 0.13, "gate $g_t$", align="right")
    return canvas


DRAWINGS: dict[str, Callable[[], Canvas]] = {
    "rnn": rnn,
    "nic": nic,
    "dot": dot,
    "soft": soft,
    "hard": hard,
    "spatial": spatial,
    "adaptive": adaptive,
}


# --- what all share


def _begin(name: str, how: str) -> Canvas:
    canvas = Canvas()
    canvas.text(11.7, 0.72, name, size=14, align="right", weight="bold")
    canvas.note(11.7, 0.38, how, align="right")
    canvas.arrow((0.35, 0.72), (1.1, 0.72))
    canvas.note(1.2, 0.72, "at every word")
    canvas.arrow((0.35, 0.38), (1.1, 0.38), once=True)
    canvas.note(1.2, 0.38, "once, before the first")
    canvas.photo(0.35, TOP, 1.2)
    canvas.arrow((1.55, EYE), (1.85, EYE), colours=IMAGE)
    canvas.box(2.25, EYE, "CNN", IMAGE, width=0.8)
    return canvas


def _pooled(canvas: Canvas) -> None:
    canvas.arrow((2.65, EYE), (BEFORE - 0.15, EYE), colours=IMAGE)
    canvas.cells(BEFORE - 0.15, TOP, 0.3, rows=4, columns=1)
    canvas.note(BEFORE + 0.3, EYE, "$v$, the pooled feature")


def _grid(canvas: Canvas, label: str) -> None:
    canvas.arrow((2.65, EYE), (BEFORE - 0.6, EYE), colours=IMAGE)
    canvas.cells(BEFORE - 0.6, TOP, 1.2)
    canvas.note(BEFORE + 0.75, EYE + 0.35, label)


def _time(
    canvas: Canvas,
    cell: str,
    *,
    before: str = BOTH_OLD,
    after: str = "$h_t, c_t$",
    zeros: bool = False,
) -> None:
    canvas.arrow((PREVIOUS + 0.67, TIME), (CELL_LEFT, TIME), colours=STATE)
    canvas.arrow((CELL_RIGHT, TIME), (NEXT - 0.65, TIME), colours=STATE)
    canvas.pill(PREVIOUS, TIME, before, STATE, width=1.34)
    canvas.box(CELL, TIME, cell, STATE, width=1.6, height=1.2, size=13)
    canvas.pill(NEXT, TIME, after, STATE)
    if zeros:
        canvas.note(PREVIOUS, TIME + 0.52, "zeros at first", align="center")


def _read(canvas: Canvas, label: str) -> None:
    canvas.pill(CELL, 0.5, "word $y_{t-1}$", WORD, width=1.6)
    canvas.arrow((CELL, 0.81), (CELL, TIME - 0.6), colours=WORD)
    canvas.note(CELL - 0.12, 1.15, label, align="right")


def _answer(canvas: Canvas, label: str, *, summed: bool = False) -> None:
    """Draw how the new state becomes a distribution over words, alone or in a sum."""
    canvas.dot(OUT, TIME, STATE)
    canvas.arrow((OUT, TIME), (OUT, ROW - 0.2 if summed else 4.2), colours=STATE)
    if summed:
        canvas.node(OUT, ROW, "$+$")
        canvas.arrow((OUT, ROW + 0.2), (OUT, 4.2))
    canvas.box(OUT, 4.51, f"{label}, softmax", ANSWER, width=1.75)
    canvas.arrow((OUT, 4.82), (OUT, 5.16))
    canvas.bars(OUT, 5.2, [0.1, 0.2, 0.75, 0.15, 0.3, 0.08])
    canvas.note(OUT + 0.8, 5.45, "$p(y_t)$")


# --- what some share


def _start(canvas: Canvas, x: float, label: str) -> None:
    """Draw how the first state comes of the picture."""
    bend = TOP - 0.4
    canvas.arrow(
        (x, TOP), (x, bend), (PREVIOUS, bend), (PREVIOUS, TIME + 0.31), colours=IMAGE, once=True
    )
    canvas.note(PREVIOUS + 0.12, bend + 0.2, label)


def _look(canvas: Canvas, x: float, label: str, weights: list[float]) -> None:
    canvas.box(x, ROW, "", LOOK, width=2 * EDGE, height=0.8)
    canvas.cells(x - EDGE + 0.11, ROW - 0.29, 0.58, LOOK, weights=weights)
    canvas.text(x + 0.36, ROW, label, size=10.5)


def _look_before(canvas: Canvas, label: str, weights: list[float]) -> None:
    canvas.arrow((BEFORE, TOP), (BEFORE, ROW + 0.4), colours=IMAGE)
    canvas.dot(BEFORE, TIME, STATE)
    canvas.arrow((BEFORE, TIME), (BEFORE, ROW - 0.4), colours=STATE)
    canvas.note(BEFORE + 0.12, 2.65, OLD)
    _look(canvas, BEFORE, label, weights)


def _show_attend_and_tell(canvas: Canvas, weights: list[float]) -> None:
    _grid(canvas, "$a_i$, the regions")
    _time(canvas, "LSTM")
    _start(canvas, BEFORE - 0.4, "$f_{init}$(mean $a_i$)")
    _look_before(canvas, "additive\nattention", weights)
    canvas.arrow((BEFORE + EDGE, ROW), (OUT - 0.2, ROW), colours=LOOK)
    canvas.note(7.9, ROW + 0.24, "$L_z\\,z_t$", align="center")
    canvas.dot(CELL, ROW, LOOK)
    canvas.arrow((CELL, ROW), (CELL, CELL_TOP), colours=LOOK)
    canvas.note(CELL + 0.12, 3.15, "$z_t$")
    _read(canvas, "$E\\,y_{t-1}$")
    _answer(canvas, "$L_o$", summed=True)
    canvas.note(OUT - 0.12, 2.75, "$L_h\\,h_t$", align="right")
    canvas.dot(CELL, 1.15, WORD)
    beside = OUT + 0.5
    way = ((CELL, 1.15), (beside, 1.15), (beside, ROW), (OUT + 0.2, ROW))
    canvas.arrow(*way, colours=WORD, over=(beside, TIME))
    canvas.note(beside + 0.12, 2.95, "$E\\,y_{t-1}$")


def _read_then_look(canvas: Canvas, label: str, context: str) -> None:
    _grid(canvas, "$a_i$, the regions")
    _time(canvas, "LSTM", before="$h_{t-1}, m_{t-1}$", after="$h_t, m_t$", zeros=True)
    canvas.arrow((BEFORE, TOP), (BEFORE, ROW + 0.31), colours=IMAGE)
    canvas.arrow((BEFORE, ROW - 0.31), (BEFORE, PORT), (CELL_LEFT, PORT), colours=IMAGE)
    canvas.box(BEFORE, ROW, "mean", IMAGE, width=0.9)
    canvas.note(BEFORE + 0.12, PORT + 0.27, "$v_g$")
    canvas.arrow((BEFORE + 0.6, EYE), (AFTER, EYE), (AFTER, ROW + 0.4), colours=IMAGE)
    canvas.note(AFTER - 0.12, 4.6, "$v_i$", align="right")
    _read(canvas, "$w_t$")
    _answer(canvas, "$W_p$", summed=True)
    canvas.note(OUT + 0.12, 2.75, "$h_t$")
    canvas.dot(AFTER, TIME, STATE)
    canvas.arrow((AFTER, TIME), (AFTER, ROW - 0.4), colours=STATE)
    canvas.note(AFTER + 0.12, 2.75, "$h_t$")
    _look(canvas, AFTER, label, SOFT_LOOK)
    canvas.arrow((AFTER + EDGE, ROW), (OUT - 0.2, ROW), colours=LOOK)
    canvas.note(AFTER + EDGE + 0.2, ROW + 0.27, context, align="center")


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        (folder / f"captioner_{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
