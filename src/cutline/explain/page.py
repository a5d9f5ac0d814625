"""Interactive explanation (HTML): point at a word and see its attention."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from cutline.explain.cards import Look, ReportEntry, card
from cutline.explain.document import HOW_TO_READ, KEYS, PROBABILITY, document
from cutline.explain.explainable import Explainable, labelled, looks
from cutline.explain.overlay import Style
from cutline.files import check_free, write_text

__all__ = ["explain_html"]

_LOOK = Look(photo=800, line=400, thumbnail=240, folded=False)


def explain_html(
    image: Image.Image,
    caption: Explainable | Mapping[str, Explainable],
    path: str | Path,
    *,
    title: str | None = None,
    style: Style | str = Style.SMOOTH,
    overwrite: bool = False,
) -> None:
    """Write the page. It needs no other file, no network and, for its grid of words, no script."""
    check_free(path, overwrite=overwrite)
    captions = labelled(caption)
    attends = any(looks(each) is not None for each in captions.values())
    layout = replace(_LOOK, style=Style(style))
    cards = [card(ReportEntry(image, said, title=name), layout) for name, said in captions.items()]
    page = document(
        title or ("Where the captioner looked" if attends else "The caption, word by word"),
        kind="page several" if len(captions) > 1 else "page",
        lead=f'<p class="hint keys">{KEYS}</p>',
        body="\n".join(cards),
        footer=HOW_TO_READ if attends else PROBABILITY,
    )
    write_text(path, page, overwrite=overwrite)
