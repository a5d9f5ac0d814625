"""Animated explanation (GIF): a frame per word, the attention and the words so far.

Shapes: `T` words, `H x W` the picture in a frame. Lengths are in pixels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from cutline.errors import UsageError
from cutline.explain.drawing import check_matplotlib
from cutline.explain.explainable import Explainable, Word, labelled, looks, words
from cutline.explain.overlay import Style, highlight, resized
from cutline.files import check_free, written

__all__ = ["check_single", "draw_frames", "explain_gif"]

_SIDE = 400  # the longer side of the picture
_NARROWEST = 260  # of a frame, so that the words beside a tall picture have room
_WIDEST = 456  # a longer word is cut at the edge
_PAD = 12
_SIZE, _LINE, _SPACE = 17, 30, 8
_SECONDS = 0.7
_COLOURS = 128  # of a frame's palette

_PAPER, _INK, _PALE, _NOTE = (250, 248, 244), (28, 27, 26), (168, 162, 154), (110, 105, 98)
_MARK = (255, 214, 102)
_WHERE = "where it looked, word by word"


class Place(NamedTuple):
    """Position of a word, from the upper left corner of a frame."""

    x: float
    y: int
    width: float


class Fonts(NamedTuple):
    """The type of the caption and of the line below it."""

    caption: ImageFont.FreeTypeFont
    note: ImageFont.FreeTypeFont


def explain_gif(
    image: Image.Image,
    caption: Explainable | Mapping[str, Explainable],
    path: str | Path,
    *,
    style: Style | str = Style.SMOOTH,
    overwrite: bool = False,
) -> None:
    """Write a GIF that loops: the picture with its caption, then 0.7 seconds for each word.

    Raises:
        UsageError: there are captions of several captioners.
    """
    check_free(path, overwrite=overwrite)
    captions = list(labelled(caption).values())
    check_single(path, len(captions))
    frames = [_palette(frame) for frame in draw_frames(image, captions[0], Style(style))]
    beat = int(1000 * _SECONDS)
    with written(path, overwrite=overwrite) as draft:
        frames[0].save(
            draft,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[2 * beat, *[beat] * (len(frames) - 1)],
            loop=0,
            disposal=1,
        )


def check_single(path: str | Path, captions: int) -> None:
    """Refuse to animate captions of several captioners."""
    if captions > 1:
        raise UsageError(
            f"{path} is an animation, which shows one model, not {captions}; give a .png or .html "
            "file."
        )


def draw_frames(
    image: Image.Image, caption: Explainable, style: Style = Style.SMOOTH
) -> list[Image.Image]:
    """Return T + 1 frames in RGB, at most 480 wide: the picture itself, then a frame per word."""
    attention = looks(caption)
    fonts = _fonts()
    said = words(caption)
    picture = resized(image, _SIDE)
    widest = max((round(fonts.caption.getlength(word.text)) for word in said), default=0)
    width = min(max(picture.width, _NARROWEST, widest), _WIDEST) + 2 * _PAD
    places = _places(said, fonts.caption, width)
    note = "this captioner does not attend" if attention is None else _WHERE
    frames = [_frame(picture, said, places, fonts, now=None, width=width, note=note)]
    for now, word in enumerate(said):
        lit = picture
        if attention is not None:
            lit = highlight(picture, attention[now], caption.area, style)
        frames.append(_frame(lit, said, places, fonts, now=now, width=width, note=_note(word)))
    return frames


def _places(said: Sequence[Word], font: ImageFont.FreeTypeFont, width: int) -> list[Place]:
    """Break the caption into lines; a word wider than a line has one to itself."""
    places: list[Place] = []
    x, y = float(_PAD), _PAD
    for word in said:
        wide = font.getlength(word.text)
        if x > _PAD and x + wide > width - _PAD:
            x, y = float(_PAD), y + _LINE
        places.append(Place(x, y, wide))
        x += wide + _SPACE
    return places


def _frame(
    picture: Image.Image,
    said: Sequence[Word],
    places: Sequence[Place],
    fonts: Fonts,
    *,
    now: int | None,
    width: int,
    note: str,
) -> Image.Image:
    """Draw one frame; `now` is the word being said, None before the first."""
    top = picture.height + _PAD
    height = top + _PAD + (places[-1].y if places else 0) + 2 * _LINE
    frame = Image.new("RGB", (width, height), _PAPER)
    frame.paste(picture, ((width - picture.width) // 2, _PAD))
    draw = ImageDraw.Draw(frame)
    for index, (word, place) in enumerate(zip(said, places, strict=True)):
        x, y = place.x, top + place.y
        if index == now:
            box = (x - 5, y - 4, x + place.width + 5, y + _SIZE + 6)
            draw.rounded_rectangle(box, radius=5, fill=_MARK)
        ink = _INK if now is None or index <= now else _PALE
        draw.text((x, y), word.text, font=fonts.caption, fill=ink)
    note = note if said else "(no words)"
    draw.text((_PAD, height - _LINE), note, font=fonts.note, fill=_NOTE)
    return frame


def _note(word: Word) -> str:
    return f"probability {word.percent}" + (f"   memory {word.memory}" if word.memory else "")


def _palette(frame: Image.Image) -> Image.Image:
    return frame.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)


def _fonts() -> Fonts:
    """Return matplotlib's own typeface: it is there wherever pictures of attention are drawn."""
    check_matplotlib()
    from matplotlib import get_data_path

    file = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return Fonts(ImageFont.truetype(file, _SIZE), ImageFont.truetype(file, 13))
