"""Captions beside pictures: `photo.txt`, `photo.caption` or `photo.json` for `photo.jpg`.

Where a stem is not enough (`a.jpg`, `a.png`), `a.png.txt` belongs to the second.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from cutline.data.readers.columns import CAPTIONS, column
from cutline.data.readers.files import is_picture, read_text

__all__ = ["HEDGE", "SIDECARS", "Beside", "beside", "captions_of"]

HEDGE = "perhaps: "  # what `cutline caption` writes before the words of an unsure caption
SIDECARS = (".txt", ".caption", ".json")  # the first that is there counts


class Beside(NamedTuple):
    """What one folder holds: pictures, each with its caption file or None."""

    captions: dict[Path, Path | None]
    shared: list[Path]  # pictures of one stem and a caption file that is of either
    strangers: list[Path]  # .txt and .caption files of no picture
    unread: list[Path]  # of the same pictures, but another kind counts


def beside(here: Path, names: list[str]) -> Beside:
    """Pair the pictures of a folder with the caption files in it."""
    texts: dict[str, dict[str, str]] = defaultdict(dict)  # stem, suffix: name
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        if suffix.lower() in SIDECARS:
            texts[stem].setdefault(suffix.lower(), name)
    pictures = [name for name in names if is_picture(name)]
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in pictures:
        if name not in texts:
            by_stem[Path(name).stem].append(name)
    found = Beside({}, [], [], [])
    for name in pictures:
        stem = name if name in texts else Path(name).stem
        if stem in texts and stem != name and len(by_stem[stem]) > 1:
            found.shared.append(here / name)
            continue
        files = [texts[stem][kind] for kind in SIDECARS if kind in texts.get(stem, {})]
        found.captions[here / name] = here / files[0] if files else None
        found.unread.extend(here / file for file in files[1:])
    found.strangers.extend(
        here / file
        for stem, files in texts.items()
        if stem not in by_stem and stem not in pictures
        for suffix, file in files.items()
        if suffix != ".json"
    )
    return found


def captions_of(file: Path) -> tuple[list[str], bool]:
    """Return a caption file's captions, and whether it says that they are unsure guesses.

    A text file holds a caption a line; JSON an object with a caption, or a list of them. Any
    other JSON holds none.
    """
    text = read_text(file)
    if file.suffix.lower() == ".json":
        return _of_json(text)
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line] or [""]
    hedged = lines[0].startswith(HEDGE)
    return [line.removeprefix(HEDGE) for line in lines], hedged


def _of_json(text: str) -> tuple[list[str], bool]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [], False
    key = column(found, CAPTIONS) if isinstance(found, dict) else None
    if key is None:
        return [], False
    said = found[key] if isinstance(found[key], list) else [found[key]]
    return [one for one in said if isinstance(one, str)], found.get("unsure") is True
