"""Explanations: pictures of attention, word by word. Needs no deep-learning stack.

    explainable   what can be explained: words, and where was looked for each
    overlay       attention as light on the photograph
    figure        a PNG with a panel per word
    animation     a GIF with a frame per word
    drawing       what PNG and GIF are drawn with, if it is there
    curves        learning curves of runs
    document      templates, escaping, pictures as data
    cards         one picture with its caption as HTML
    page          a stand-alone page of one picture
    report        a stand-alone page of many, with scores

PNG and GIF need matplotlib (`pip install 'cutline[explain]'`); HTML does not.
"""

from pathlib import Path

from PIL import Image

from cutline.errors import UsageError
from cutline.explain.animation import explain_gif
from cutline.explain.drawing import check_matplotlib
from cutline.explain.explainable import Explainable
from cutline.explain.figure import explain_png
from cutline.explain.overlay import spotlight, spread
from cutline.explain.page import explain_html
from cutline.explain.report import ReportEntry, write_report
from cutline.files import check_free

__all__ = [
    "SUFFIXES",
    "Explainable",
    "ReportEntry",
    "check_target",
    "explain",
    "explain_gif",
    "explain_html",
    "explain_png",
    "spotlight",
    "spread",
    "write_report",
]

_WRITERS = {".png": explain_png, ".gif": explain_gif, ".html": explain_html}
SUFFIXES = tuple(_WRITERS)


def explain(
    image: Image.Image, caption: Explainable, path: str | Path, *, overwrite: bool = False
) -> None:
    """Write where the captioner looked as a PNG, a GIF or a page of HTML, by the path's suffix.

    Missing folders are made, and an existing file is kept unless `overwrite`. Raises `UsageError`
    when that is not so, and when the caption comes without attention.
    """
    check_target(path, overwrite=overwrite)
    _WRITERS[Path(path).suffix.lower()](image, caption, path, overwrite=overwrite)


def check_target(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a target that `explain` would refuse, before a captioner is loaded for it."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        given = f"ends in {suffix}" if suffix else "has no suffix"
        raise UsageError(f"{path} {given}; an explanation ends in {', '.join(SUFFIXES)}.")
    if suffix != ".html":
        check_matplotlib()
    check_free(path, overwrite=overwrite)
