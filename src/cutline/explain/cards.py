"""Cards: one picture with its caption and, of a captioner that attends, its attention as HTML.

Shapes: `T` words, `h x w` the attention grid, `H x W` the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cutline.explain.document import data_uri, escape, fill
from cutline.explain.explainable import (
    NOT_ATTENDING,
    Area,
    Array,
    Explainable,
    Word,
    looks,
    words,
)
from cutline.explain.overlay import LINE, Style, lines, resized, spread

__all__ = ["Look", "ReportEntry", "card"]

_VEIL = 96  # the longer side of a veil; it is smooth, and the browser enlarges it
_LEVELS = 32  # of a veil's grey: more cannot be told apart, and fewer bytes are needed
_INKS = 4  # of the line's edge
_PLAY = '<button class="play" type="button">▶ Play</button>'


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A picture, its caption, and further facts to show.

    Attributes:
        image: the picture.
        caption: what the captioner says; it need not attend.
        references: what people wrote.
        badge: a short verdict with its reason, such as "true" or "false: the circle is blue".
        good: whether the badge is good news; None for neither.
        title: a heading above the picture, such as the name of the captioner.
    """

    image: Image.Image
    caption: Explainable
    references: Sequence[str] = ()
    badge: str | None = None
    good: bool | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Layout of a card.

    Longer sides in pixels, whether the grid of words is folded, and how attention is upsampled.
    """

    photo: int
    line: int
    thumbnail: int
    folded: bool
    style: Style = Style.SMOOTH


def card(entry: ReportEntry, look: Look) -> str:
    """Return the HTML of one entry."""
    caption = entry.caption
    attention = looks(caption)
    attends = attention is not None
    photo = resized(entry.image, look.photo)
    said = words(caption)
    return fill(
        "card.html",
        title=f"<h2>{escape(entry.title)}</h2>" if entry.title else "",
        variables=_variables(attention, caption.area, look, photo),
        photo=data_uri(photo, "jpeg"),
        width=str(photo.width),
        height=str(photo.height),
        alt=escape(f"The picture, captioned: {caption.text}" if said else "The picture"),
        veils="".join(map(_veil, range(len(said)))) if attends else "",
        badge=_badge(entry),
        words="".join(map(_word, said)) or '<span class="empty">(no words)</span>',
        resting="" if attends else NOT_ATTENDING,
        play=_PLAY if attends and said else "",
        panels=_panels(said, folded=look.folded) if attends and said else "",
        references=_references(entry.references),
    )


# --- pictures ------------------------------------------------------------------------------------


def _variables(attention: Array | None, area: Area, look: Look, photo: Image.Image) -> str:
    """Return the card's pictures as CSS variables: each is written once and shown twice."""
    if attention is None:
        return _ratio(photo)
    thumbnail = data_uri(resized(photo, look.thumbnail), "jpeg")
    parts = [_ratio(photo), f"--photo:url({thumbnail})"]
    sharp = look.style is Style.CELLS
    for index, weights in enumerate(attention):
        size = _within(photo, look.line if sharp else _VEIL)
        veil = _veil_png(spread(weights, area, size, look.style))
        light = spread(weights, area, _within(photo, look.line), look.style)
        rows, columns = weights.shape
        line = _line_png(lines(light, (rows, columns), area, look.style))
        parts += [f"--look-{index}:url({veil})", f"--line-{index}:url({line})"]
    return ";".join(parts)


def _ratio(photo: Image.Image) -> str:
    return f"--ratio:{photo.width / photo.height:.4f}"


def _within(photo: Image.Image, side: int) -> tuple[int, int]:
    scale = side / max(photo.size)
    return max(1, round(photo.width * scale)), max(1, round(photo.height * scale))


def _veil_png(light: Array) -> str:
    """Return a mask: opaque where `light` (H, W) is 0, clear where it is 1."""
    alpha = np.rint((1 - light) * (_LEVELS - 1)) * (255 / (_LEVELS - 1))
    shades = np.stack([np.zeros_like(alpha), alpha], axis=-1)
    return data_uri(Image.fromarray(np.rint(shades).astype(np.uint8)), "png")


def _line_png(ink: Array) -> str:
    """Return the line of `ink` (H, W), on nothing."""
    inks = np.rint(ink * (_INKS - 1)).astype(np.uint8)
    image = Image.fromarray(inks)
    image.putpalette(LINE * _INKS)
    image.info["transparency"] = bytes(round(255 * level / (_INKS - 1)) for level in range(_INKS))
    return data_uri(image, "png")


# --- words ---------------------------------------------------------------------------------------


def _veil(index: int) -> str:
    return (
        f'<span class="veil" style="--look:var(--look-{index});--line:var(--line-{index})"></span>'
    )


def _word(word: Word) -> str:
    text, note = escape(word.text), escape(_note(word))
    return (
        f'<button class="word" type="button" style="--p:{100 * word.probability:.1f}%"'
        f' aria-label="{note}" data-note="{note}">'
        f"<b>{text}</b><i></i><small>{escape(word.percent)}</small></button>"
    )


def _note(word: Word) -> str:
    memory = f", memory {word.memory}" if word.memory else ""
    return f"{word.text}: probability {word.percent}{memory}"


def _panels(said: Sequence[Word], *, folded: bool) -> str:
    panels = f'<div class="panels">{"".join(map(_panel, range(len(said)), said))}</div>'
    panels += _memory(said)
    return f"<details><summary>All words</summary>{panels}</details>" if folded else panels


def _panel(index: int, word: Word) -> str:
    where = escape(f"Where it looked for “{word.text}”")
    return (
        f'<figure><div class="panel" role="img" aria-label="{where}">{_veil(index)}</div>'
        f"<figcaption><b>{escape(word.text)}</b><span>{escape(word.percent)}</span></figcaption>"
        "</figure>"
    )


def _memory(said: Sequence[Word]) -> str:
    """Return the curve of how much of each look went to the captioner's own memory."""
    betas = [word.beta for word in said if word.beta is not None]
    if not betas:
        return ""
    count = len(betas)
    line = " ".join(f"{at + 0.5:g},{1 - beta:.4f}" for at, beta in enumerate(betas))
    places = ((100 * (at + 0.5) / count, 100 * (1 - beta)) for at, beta in enumerate(betas))
    points = "".join(f'<i class="point" style="left:{x:.2f}%;top:{y:.1f}%"></i>' for x, y in places)
    names = "".join(f"<li>{escape(word.text)}</li>" for word in said)
    spoken = escape(", ".join(f"{word.text} {word.memory}" for word in said))
    return (
        f'<figure class="memory" role="img" aria-label="Memory, word by word: {spoken}">'
        "<figcaption>Memory, word by word</figcaption>"
        f'<div class="curve"><svg viewBox="0 0 {count} 1" preserveAspectRatio="none">'
        f'<polygon points="0.5,1 {line} {count - 0.5:g},1"/><polyline points="{line}"/></svg>'
        f'{points}</div><ol style="--words:{count}">{names}</ol></figure>'
    )


# --- around them ---------------------------------------------------------------------------------


def _badge(entry: ReportEntry) -> str:
    if entry.badge is None:
        return ""
    kind, sign = {True: ("good", "✓ "), False: ("bad", "✗ "), None: ("plain", "")}[entry.good]
    sign = f'<span aria-hidden="true">{sign}</span>' if sign else ""
    return f'<p class="badge {kind}">{sign}{escape(entry.badge)}</p>'


def _references(references: Sequence[str]) -> str:
    if not references:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in references)
    return f'<ul class="references"><li>References</li>{lines}</ul>'
