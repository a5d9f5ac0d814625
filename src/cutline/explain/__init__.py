"""Explanations: pictures of captions and attention, word by word. Needs no deep-learning stack.

    explainable   what can be explained: words, and where was looked for each, if the model attends
    overlay       attention as light on the photograph, smooth or by cell
    figure        a PNG with a panel per word
    animation     a GIF with a frame per word
    drawing       what PNG and GIF are drawn with, if it is there
    curves        learning curves of runs
    document      templates, escaping, pictures as data
    cards         one picture with its caption as HTML
    page          a stand-alone page of one picture
    report        a stand-alone page of many, with scores
    band          a photograph with its captions in a band below, and sheets of them
    fonts         the typeface of the band

PNG and GIF of attention need matplotlib (`pip install 'cutline[explain]'`); HTML and band do not.
"""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from cutline.errors import UsageError, did_you_mean
from cutline.explain.animation import check_single, explain_gif
from cutline.explain.band import SUFFIXES as FIGURE_SUFFIXES
from cutline.explain.band import caption_figure, check_figure, figure_sheet, save_figure
from cutline.explain.drawing import check_matplotlib
from cutline.explain.explainable import Explainable, labelled
from cutline.explain.figure import explain_png
from cutline.explain.overlay import Style, spotlight, spread
from cutline.explain.page import explain_html
from cutline.explain.report import ReportEntry, write_report
from cutline.files import check_free

__all__ = [
    "FIGURE_SUFFIXES",
    "SUFFIXES",
    "Explainable",
    "ReportEntry",
    "Style",
    "caption_figure",
    "check_figure",
    "check_target",
    "explain",
    "explain_gif",
    "explain_html",
    "explain_png",
    "figure_sheet",
    "save_figure",
    "spotlight",
    "spread",
    "write_report",
]

_WRITERS = {".png": explain_png, ".gif": explain_gif, ".html": explain_html}
SUFFIXES = tuple(_WRITERS)


def explain(
    image: Image.Image,
    caption: Explainable | Mapping[str, Explainable],
    path: str | Path,
    *,
    style: Style | str = Style.SMOOTH,
    overwrite: bool = False,
) -> None:
    """Write where a captioner looked as a PNG, a GIF or a page of HTML, by the path's suffix.

    Of a captioner that does not attend, the picture, its caption and the probability of each word.

    Args:
        image: the picture.
        caption: its caption; or captions of several captioners by their names, which a PNG and a
            page show above each other.
        path: the file. Missing folders are made.
        style: `smooth` upsamples attention with a Gaussian; `cells` shows the grid as it is.
        overwrite: whether an existing file is replaced.

    Raises:
        UsageError: the file may not be written, is none of the three, or is a GIF of several
            captioners.
        MissingDependencyError: a PNG or GIF is asked for and matplotlib is not installed.
    """
    captions = labelled(caption)
    check_target(path, overwrite=overwrite, captions=len(captions))
    write = _WRITERS[Path(path).suffix.lower()]
    write(image, captions, path, style=style_of(style), overwrite=overwrite)


def check_target(path: str | Path, *, overwrite: bool = False, captions: int = 1) -> None:
    """Refuse a target that `explain` would refuse, before a captioner is loaded for it."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        given = f"ends in {suffix}" if suffix else "has no suffix"
        raise UsageError(f"{path} {given}; an explanation ends in {', '.join(SUFFIXES)}.")
    if suffix == ".gif":
        check_single(path, captions)
    if suffix != ".html":
        check_matplotlib()
    check_free(path, overwrite=overwrite)


def style_of(name: Style | str) -> Style:
    """Return a style by its name."""
    try:
        return Style(name)
    except ValueError:
        raise UsageError(f"There is no style '{name}'; {did_you_mean(name, Style)}.") from None
