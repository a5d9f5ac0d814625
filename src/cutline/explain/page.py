"""Interactive explanation (HTML): point at a word and see its attention."""

from pathlib import Path

from PIL import Image

from cutline.explain.cards import Look, ReportEntry, card
from cutline.explain.document import HOW_TO_READ, KEYS, document
from cutline.explain.explainable import Explainable, looks
from cutline.files import check_free, write_text

__all__ = ["explain_html"]

_LOOK = Look(photo=800, line=400, thumbnail=240, folded=False)


def explain_html(
    image: Image.Image,
    caption: Explainable,
    path: str | Path,
    *,
    title: str = "Where the captioner looked",
    overwrite: bool = False,
) -> None:
    """Write the page. It needs no other file, no network and, for its grid of words, no script."""
    check_free(path, overwrite=overwrite)
    looks(caption)
    page = document(
        title,
        kind="page",
        lead=f'<p class="hint keys">{KEYS}</p>',
        body=card(ReportEntry(image, caption), _LOOK),
        footer=HOW_TO_READ,
    )
    write_text(path, page, overwrite=overwrite)
