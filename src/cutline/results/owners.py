"""Owners of sidecars: for each folder, a list of sidecars and their pictures in the cache.

A line is written before its sidecar is. Where the sidecar takes the place of another file, the line
also says what that one held: as long as it still holds it, the sidecar was not written.
"""

import hashlib
import json
import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cutline.errors import UsageError
from cutline.results.names import LINE
from cutline.results.places import kept_for
from cutline.results.rows import DOUBT

__all__ = ["Owners"]

LARGEST = 1 << 20  # bytes of a json that may be ours
FOLDERS = 16  # whose lists are remembered


class _Entry(NamedTuple):
    picture: str
    before: str | None = None  # digest of the file that was there


class _Stored(NamedTuple):
    picture: str
    caption: str


class _List:
    """The list of one folder; what other processes add to its file is read as it comes."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self._file: tuple[int, int] | None = None
        self._read = 0  # bytes

    def refresh(self, path: Path) -> None:
        """Read the lines that are new in the file."""
        with suppress(OSError), path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            if self._file != (facts.st_dev, facts.st_ino) or facts.st_size < self._read:
                self.entries, self._read = {}, 0
                self._file = facts.st_dev, facts.st_ino
            if facts.st_size == self._read:
                return
            stream.seek(self._read)
            lines, newline, _ = stream.read().rpartition(b"\n")
            self._read += len(lines + newline)
            for line in lines.split(b"\n"):
                with suppress(ValueError, TypeError):  # a line that was cut off
                    sidecar, *rest = json.loads(line)
                    self.entries[sidecar] = _Entry(*rest)


class Owners:
    """The picture that each sidecar belongs to."""

    def __init__(self) -> None:
        self._lists: OrderedDict[Path, _List] = OrderedDict()

    def of(self, sidecar: Path) -> str | None:
        """Return the name of its picture, or None where nobody knows."""
        if sidecar.suffix == ".json":
            found = _stored(sidecar)
            return found.picture if found else None
        if not sidecar.is_file():
            return None
        if (entry := self._entries(sidecar.parent).get(sidecar.name)) is not None:
            unwritten = entry.before is not None and entry.before == _digest(sidecar)
            return None if unwritten else entry.picture or None
        return _picture_of_text(sidecar) if sidecar.suffix == ".txt" else None

    def tell(self, sidecar: Path, picture: str, *, replaces: bool) -> None:
        """Remember, before it is written, that a sidecar is of a picture.

        `replaces`: the file that is there will be another afterwards.
        """
        before = _digest(sidecar) if replaces else None
        _append(sidecar.parent, [sidecar.name, picture, *([before] if before else [])])

    def forget(self, sidecar: Path) -> None:
        """Take back what was told of a sidecar that was not written: it is nobody's."""
        if sidecar.suffix not in (".json", ".xmp"):
            _append(sidecar.parent, [sidecar.name, ""])

    def _entries(self, folder: Path) -> dict[str, _Entry]:
        if folder not in self._lists:
            self._lists[folder] = _List()
            if len(self._lists) > FOLDERS:
                self._lists.popitem(last=False)
        kept = self._lists[folder]
        with suppress(UsageError):
            kept.refresh(_place(folder))
        return kept.entries


def _place(folder: Path) -> Path:
    return kept_for(folder, "sidecars").with_suffix(".jsonl")


def _append(folder: Path, line: list[str]) -> None:
    with suppress(OSError, UsageError), _place(folder).open("a", encoding="ascii") as file:
        file.write(json.dumps(line) + "\n")


def _digest(path: Path) -> str | None:
    """Return what tells the content of a file from another; None where there is no file."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:32]
    except OSError:
        return None


def _picture_of_text(sidecar: Path) -> str | None:
    """Return the picture of a text that nobody told of: that of the json beside it.

    It has to be the json's caption, as it was written: a text of the user's may lie there, too.
    """
    found = _stored(sidecar.with_suffix(".json"))
    if found is None:
        return None
    captions = (found.caption, DOUBT + found.caption)
    written = [f"{LINE.escape(one)}\n".encode("utf-8", "backslashreplace") for one in captions]
    try:
        with sidecar.open("rb") as stream:
            is_ours = stream.read(LARGEST) in written
    except OSError:
        return None
    return found.picture if is_ours else None


def _stored(sidecar: Path) -> _Stored | None:
    """Return the picture and caption of a json of ours."""
    try:
        if not 0 < sidecar.stat().st_size <= LARGEST:
            return None
        content = json.loads(sidecar.read_bytes())
        picture, caption = Path(content["image"]).name, content["caption"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return _Stored(picture, caption) if isinstance(caption, str) else None
