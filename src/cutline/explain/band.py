"""Captioned pictures: a photograph with its captions in a band below, and sheets of several.

Needs only Pillow. The photograph keeps its resolution, and nothing of it is covered. Lengths are in
pixels.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from cutline.errors import UsageError
from cutline.explain.fonts import Font, font_for
from cutline.files import check_free, printable, written

__all__ = ["SUFFIXES", "caption_figure", "check_figure", "figure_sheet", "save_figure"]

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
MOST = 60  # pictures on a sheet

_PAPER, _INK, _SOFT = (250, 248, 244), (28, 27, 26), (110, 105, 98)
_NARROWEST = 320  # of a band, so that words beside a small picture have room
_SMALLEST, _LARGEST = 14, 160  # letters
_CELL = (400, 300)  # a picture on a sheet
_GAP = 24
_COLUMNS = 4
_MISSING = "(no words)"


def caption_figure(
    image: Image.Image,
    caption: str,
    references: Sequence[str] = (),
    *,
    font: Path | None = None,
) -> Image.Image:
    """Return the photograph of H x W with a band below it, on which its caption is written.

    Args:
        image: the photograph; its pixels are not changed.
        caption: the generated one.
        references: what people wrote; with them, lines begin with "Generated" and "GT".
        font: a font file; by default one of this machine that has the letters.

    Returns:
        An RGB image, at least 320 wide: a narrower photograph stands in the middle of it.

    Raises:
        UsageError: no font has the letters.
    """
    size = round(sqrt(image.width * image.height) / 26)
    size = min(max(size, _SMALLEST), _LARGEST, max(_SMALLEST, image.width // 18))
    lines = _labelled(caption, references)
    band = _band(lines, max(image.width, _NARROWEST), size, font)
    figure = Image.new("RGB", (band.width, image.height + band.height), _PAPER)
    figure.paste(image.convert("RGB"), ((band.width - image.width) // 2, 0))
    figure.paste(band, (0, image.height))
    return figure


def figure_sheet(
    pictures: Sequence[tuple[Image.Image, str, Sequence[str]]], *, font: Path | None = None
) -> Image.Image:
    """Return a sheet of photographs with their captions, in rows of at most four.

    Args:
        pictures: for each its photograph, its generated caption, and what people wrote.
        font: a font file; by default one of this machine that has the letters.

    Raises:
        UsageError: there are none, or more than a sheet holds; or no font has the letters.
    """
    if not 1 <= len(pictures) <= MOST:
        raise UsageError(
            f"A sheet holds 1 to {MOST} pictures, not {len(pictures)}; give a folder, such as "
            "figures/, for a file of each."
        )
    cells = [_cell(*picture, font) for picture in pictures]
    columns = min(_COLUMNS, ceil(sqrt(len(cells))))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = columns * (_CELL[0] + _GAP) + _GAP
    sheet = Image.new("RGB", (width, sum(heights) + _GAP * (len(rows) + 1)), _PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (_CELL[0] + _GAP), top))
        top += height + _GAP
    return sheet


def check_figure(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a file that `save_figure` would refuse, before any work is done for it."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        given = f"ends in {suffix}" if suffix else "has no suffix"
        raise UsageError(
            f"{printable(path)} {given}; a captioned picture ends in {', '.join(SUFFIXES)}."
        )
    check_free(path, overwrite=overwrite)


def save_figure(figure: Image.Image, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a figure as PNG or JPEG, by the path's suffix; missing folders are made.

    Raises:
        UsageError: there is a file and not `overwrite`, or nothing can be written there, or the
            suffix is another.
    """
    check_figure(path, overwrite=overwrite)
    form = SUFFIXES[Path(path).suffix.lower()]
    with written(path, overwrite=overwrite) as draft:
        figure.save(draft, format=form, quality=95)


def _cell(
    image: Image.Image, caption: str, references: Sequence[str], font: Path | None
) -> Image.Image:
    """Return one picture of a sheet; all have the same size, and captions begin at one height."""
    picture = ImageOps.pad(image.convert("RGB"), _CELL, Image.Resampling.LANCZOS, color=_PAPER)
    band = _band(_labelled(caption, references), _CELL[0], _SMALLEST, font, margin=0)
    cell = Image.new("RGB", (_CELL[0], _CELL[1] + band.height), _PAPER)
    cell.paste(picture, (0, 0))
    cell.paste(band, (0, _CELL[1]))
    return cell


def _labelled(caption: str, references: Sequence[str]) -> list[tuple[str, str]]:
    """Return the lines of a band: a label, or "", and a text."""
    if not references:
        return [("", caption or _MISSING)]
    return [("Generated", caption or _MISSING), *(("GT", text) for text in references)]


def _band(
    lines: Sequence[tuple[str, str]],
    width: int,
    size: int,
    file: Path | None,
    *,
    margin: int | None = None,
) -> Image.Image:
    """Return the lines on paper, each broken where it is too long; texts stand in one column."""
    margin = size if margin is None else margin
    fonts = [font_for(f"{label}{text}", size, file) for label, text in lines]
    labels = max(font.getlength(label) for font, (label, _) in zip(fonts, lines, strict=True))
    left = margin + (ceil(labels) + size // 2 if labels else 0)
    broken = [
        _broken(text, font, width - left - margin)
        for font, (_, text) in zip(fonts, lines, strict=True)
    ]
    step = round(1.4 * size)
    band = Image.new("RGB", (width, sum(map(len, broken)) * step + round(1.1 * size)), _PAPER)
    draw = ImageDraw.Draw(band)
    top = round(0.6 * size)
    for number, (font, (label, _), parts) in enumerate(zip(fonts, lines, broken, strict=True)):
        ink = _SOFT if number else _INK
        draw.text((margin, top), label, font=font, fill=_SOFT)
        for part in parts:
            draw.text((left, top), part, font=font, fill=ink)
            top += step
    return band


def _broken(text: str, font: Font, width: int) -> list[str]:
    """Break a text into lines; a word that is longer than a line is broken too."""
    lines = [""]
    for word in text.split() or [""]:
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while len(lines[-1]) > 1 and font.getlength(lines[-1]) > width:
            fitting = _fitting(lines[-1], font, width)
            lines[-1:] = [lines[-1][:fitting], lines[-1][fitting:]]
    return lines


def _fitting(word: str, font: Font, width: int) -> int:
    """Return how many letters of a word fit into a line, at least one."""
    count = 1
    while count < len(word) - 1 and font.getlength(word[: count + 1]) <= width:
        count += 1
    return count
