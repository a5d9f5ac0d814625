"""Captions beside pictures: `photo.txt`, `photo.caption` or `photo.json` for `photo.jpg`.

Where a stem is not enough (`a.jpg`, `a.png`), `a.png.txt` belongs to the second.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cutline.data.readers.columns import CAPTIONS, column
from cutline.data.readers.files import is_picture, read_text

__all__ = ["HEDGE", "SIDECARS", "Beside", "beside", "captions_in", "captions_of", "differs"]

HEDGE = "perhaps: "  # what `cutline caption` writes before the words of an unsure caption
SIDECARS = (".txt", ".caption", ".json")  # the first that is there counts


class Beside(NamedTuple):
    """Content of one folder: pictures, each with its caption file or None."""

    captions: dict[Path, Path | None]
    shared: list[Path]  # pictures of one stem and a caption file that is of either
    strangers: list[Path]  # .txt and .caption files of no picture
    unread: dict[Path, list[Path]]  # further caption files of a picture; the first kind counts


def beside(here: Path, names: list[str]) -> Beside:
    """Pair the pictures of a folder with the caption files in it."""
    texts: dict[str, dict[str, Path]] = defaultdict(dict)  # by stem and suffix
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every file
        if suffix.lower() in SIDECARS:
            texts[stem].setdefault(suffix.lower(), here / name)
    pictures = [name for name in names if is_picture(name)]
    own = {name for name in pictures if _holds_captions(texts.get(name, {}))}
    alike = Counter(Path(name).stem for name in pictures if name not in own)
    found = Beside({}, [], [], {})
    for name in pictures:
        stem = name if name in own else Path(name).stem
        if stem != name and alike[stem] > 1 and _holds_captions(texts.get(stem, {})):
            found.shared.append(here / name)
            continue
        files = [texts[stem][kind] for kind in SIDECARS if kind in texts.get(stem, {})]
        found.captions[here / name] = files[0] if files else None
        found.unread[here / name] = files[1:]
    known = own | alike.keys()
    found.strangers.extend(
        file
        for stem, files in texts.items()
        if stem not in known
        for suffix, file in files.items()
        if suffix != ".json"
    )
    return found


def _holds_captions(files: Mapping[str, Path]) -> bool:
    """Tell whether a picture has a caption file: JSON beside pictures is often something else."""
    return any(suffix != ".json" or bool(captions_of(file)[0]) for suffix, file in files.items())


def differs(one: Path, other: Path) -> bool:
    """Tell whether another caption file of a picture says something else."""
    captions, _ = captions_of(other)
    return bool(captions) and captions != captions_of(one)[0]


def captions_of(file: Path) -> tuple[list[str], bool]:
    """Return a caption file's captions, and whether it says that they are unsure guesses.

    A text file holds a caption a line; JSON an object with a caption, or a list of them. Any
    other JSON holds none.
    """
    return captions_in(read_text(file), file.suffix.lower())


def captions_in(text: str, suffix: str) -> tuple[list[str], bool]:
    """Return the captions in the text of such a file, as `captions_of` does."""
    if suffix == ".json":
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
