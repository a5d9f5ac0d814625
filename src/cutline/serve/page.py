"""The page's files: HTML, style sheets and JavaScript modules, some of them the explanation's."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["PATHS", "page_file"]

KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HERE, EXPLAIN = "cutline.serve", "cutline.explain"
PATHS = {  # where each is served: its package and its name in `assets`
    "/": (HERE, "index.html"),
    "/assets/page.css": (HERE, "page.css"),
    "/assets/icon.svg": (HERE, "icon.svg"),
    "/assets/page.js": (HERE, "page.js"),
    "/assets/card.js": (HERE, "card.js"),
    "/assets/ask.js": (HERE, "ask.js"),
    "/assets/light.js": (HERE, "light.js"),
    "/assets/base.css": (EXPLAIN, "base.css"),
    "/assets/words.js": (EXPLAIN, "words.js"),
}


class File(NamedTuple):
    """A file as it is sent."""

    content: bytes
    kind: str
    tag: str


def page_file(request: Request) -> Response:
    """Return the file at the request's path, or that the browser has it (304)."""
    file = _read(*PATHS[request.url.path])
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=f"{file.kind}; charset=utf-8", headers=headers)


def _read(package: str, name: str) -> File:
    content = files(package).joinpath("assets", name).read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:24]
    return File(content, KINDS[name.rpartition(".")[2]], f'"{tag}"')
