"""Unreadable pictures: found before a training begins, and remembered for the next one.

A picture that could be read is not looked at again as long as its path, size and date stay. They
lie in the cache's folder, in one file for all pictures below a folder:

    checked/<digest>.json    path: [size, date]
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cutline.data.examples import Photograph, Picture
from cutline.errors import UsageError
from cutline.files import write_text
from cutline.images import read_image
from cutline.images.unreadable import Unreadable, attempt

__all__ = ["find_unreadable"]

SMALL = 32  # side to which a picture is decoded at least, to see that it can be
Known = dict[str, list[int]]


def find_unreadable(
    pictures: Sequence[Picture],
    *,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[dict[int, str], list[str]]:
    """Decode each photograph once; those that are drawn when opened can always be read.

    Args:
        pictures: of which each is looked at, unless it was before and has not changed since.
        folder: where caches live.
        progress: called for each photograph.

    Returns:
        The rows that cannot be read with the reason, and a note when nothing can be remembered.
    """
    paths = {row: p.path for row, p in enumerate(pictures) if isinstance(p, Photograph)}
    store = _store(folder, list(paths.values()))
    before = _remembered(store)
    good = dict(before)
    failed: dict[int, str] = {}
    for row, path in paths.items():
        name, seen = str(path.absolute()), _seen(path)
        if seen is None or before.get(name) != seen:
            found = attempt(_decode, pictures[row], name=pictures[row].name)
            if isinstance(found, Unreadable):
                failed[row] = found.reason
            elif seen is not None:
                good[name] = seen
        progress(1)
    return failed, _remember(store, good) if good != before else []


def _decode(picture: Picture) -> None:
    """Read a photograph to its end, smaller where that is faster."""
    if isinstance(picture, Photograph):
        read_image(picture.path, shrink_to=SMALL)


def _seen(path: Path) -> list[int] | None:
    """Return what changes when the file does."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return [facts.st_size, facts.st_mtime_ns]


def _store(folder: Path, paths: Sequence[Path]) -> Path:
    """Name the file of what is known: by the folder that all the pictures lie in."""
    together = os.path.commonpath([path.absolute().parent for path in paths]) if paths else ""
    digest = hashlib.sha256(together.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return folder / "checked" / f"{digest}.json"


def _remembered(store: Path) -> Known:
    """Read what is known; a file that is damaged knows nothing."""
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(store: Path, good: Known) -> list[str]:
    try:
        write_text(store, json.dumps(good))
    except UsageError as error:
        return [f"pictures will be checked anew at the next start: {error}"]
    return []
