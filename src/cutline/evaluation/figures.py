"""Figures of an evaluation: pictures with the generated and the true captions drawn on them."""

import re
from collections.abc import Sequence
from pathlib import Path

from cutline.data.examples import Example
from cutline.errors import UsageError
from cutline.evaluation.evaluation import Evaluation
from cutline.explain import (
    FIGURE_SUFFIXES,
    caption_figure,
    check_figure,
    figure_sheet,
    save_figure,
)
from cutline.explain.band import MOST
from cutline.explain.fonts import font_for
from cutline.files import check_not_read, printable
from cutline.folders import check_free_folder, written_folder

__all__ = ["check_figures", "write_figures"]

_CELL = (800, 600)  # enough of a photograph for a sheet


def check_figures(
    path: Path,
    examples: Sequence[Example],
    count: int,
    *,
    font: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Refuse, before any picture is captioned, what `write_figures` would refuse.

    Raises:
        UsageError: there are fewer examples with captions than `count`, or the file or folder may
            not be written, is read here, or is there and not `overwrite`; or the font cannot be
            read.
    """
    usable = [example for example in examples if example.captions]
    if not 1 <= count <= len(usable):
        raise UsageError(
            f"{count:,} figures were asked for, and {len(usable):,} pictures with captions are "
            f"evaluated here; give --figures a number from 1 to {len(usable):,}."
        )
    font_for("", 24, font)
    if _is_sheet(path):
        check_figure(path, overwrite=overwrite)
        check_not_read(path, [example.picture.name for example in examples])
        if count > MOST:
            raise UsageError(
                f"A sheet holds at most {MOST} pictures, not {count:,}; give fewer, or "
                "--figures-to a folder, for a file of each."
            )
    elif overwrite and path.is_dir():
        others = {entry.name for entry in path.iterdir()}
        if others and not others & set(_names(usable[:count])):
            raise UsageError(
                f"{printable(path)} is a folder of other things ({printable(min(others))}), and is "
                "not replaced; give another folder."
            )
    else:
        check_free_folder(path)


def write_figures(
    found: Evaluation,
    examples: Sequence[Example],
    path: Path,
    count: int,
    *,
    font: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Draw the first pictures of an evaluation with their captions; return how many.

    Args:
        found: the evaluation.
        examples: those that were evaluated, in their order.
        path: a sheet of all, a file that ends in .png, .jpg or .jpeg; or a folder, for a PNG of
            each, `001-NAME.png` in the order of the data set.
        count: the number of pictures; fewer are drawn where some could not be read.
        font: a font file; by default one of this machine that has the letters.
        overwrite: whether what is there is replaced. Other files of a folder are kept.

    Raises:
        UsageError: it may not be written, or no font has the letters of a caption.
    """
    shown = [example for example in examples if example.image_id in found.captions][:count]
    if _is_sheet(path):
        rows = []
        for example in shown:
            picture = example.picture.open()
            picture.thumbnail(_CELL)
            rows.append((picture, found.captions[example.image_id].text, example.captions))
        save_figure(figure_sheet(rows, font=font), path, overwrite=overwrite)
        return len(shown)
    if not overwrite:
        check_free_folder(path)
    names = _names(shown)
    with written_folder(path, own=names) as draft:
        for example, name in zip(shown, names, strict=True):
            text = found.captions[example.image_id].text
            figure = caption_figure(example.picture.open(), text, example.captions, font=font)
            save_figure(figure, draft / name)
    return len(shown)


def _is_sheet(path: Path) -> bool:
    """Say whether a place is a file; a folder has no suffix."""
    suffix = path.suffix.lower()
    if suffix and suffix not in FIGURE_SUFFIXES and not path.is_dir():
        raise UsageError(
            f"{printable(path)} ends in {printable(suffix)}; a sheet of pictures ends in "
            f"{', '.join(FIGURE_SUFFIXES)}, and a folder has no suffix."
        )
    return suffix in FIGURE_SUFFIXES


def _names(examples: Sequence[Example]) -> list[str]:
    """Return a file name for each picture, in the order of the data set."""
    stems = [re.sub(r"[^\w.-]+", "-", Path(example.image_id).stem[:80]) for example in examples]
    return [f"{number:03d}-{stem}.png" for number, stem in enumerate(stems, start=1)]
