"""HTML documents: templates in `assets`, escaped text, pictures as data URIs."""

import io
import re
from base64 import b64encode
from html import escape
from importlib.resources import files
from string import Template

from PIL import Image

from cutline.explain.overlay import DIM

__all__ = ["HOW_TO_READ", "KEYS", "PROBABILITY", "data_uri", "document", "escape", "fill"]

KEYS = (
    "Point at a word, tap it, or walk with <kbd>←</kbd> <kbd>→</kbd>. "
    "The bar under a word is its probability."
)
PROBABILITY = "A word’s probability is the captioner’s own and is not calibrated."
HOW_TO_READ = (
    "In colour: where the captioner looked, for each word relative to its own brightest place; "
    f"the line is at half of that. {PROBABILITY} Memory: how much of a look went to the "
    "captioner’s own memory instead of the picture, where it has one."
)


def document(title: str, *, kind: str, lead: str, body: str, footer: str) -> str:
    """Return a whole page; `title` is plain text, the rest is HTML."""
    return fill(
        "page.html",
        title=escape(title),
        kind=kind,
        lead=lead,
        body=body,
        footer=footer,
        style=_asset("base.css") + fill("style.css", dim=str(DIM)),
        script=_inlined("words.js", "look.js"),
    )


def fill(name: str, **parts: str) -> str:
    """Return a template with its $parts filled in; nothing in a part is filled in again."""
    return Template(_asset(name)).substitute(parts)


def _inlined(*names: str) -> str:
    """Return JavaScript modules as one; each stands before those that import it."""
    whole = "".join(map(_asset, names))
    return re.sub(r"^import .*\n|^export ", "", whole, flags=re.MULTILINE)


def _asset(name: str) -> str:
    return files("cutline.explain").joinpath("assets", name).read_text(encoding="utf-8")


def data_uri(image: Image.Image, kind: str) -> str:
    """Return a picture as the text of its own address; `kind` is jpeg or png."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, quality=84)
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
