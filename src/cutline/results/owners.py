"""Owners of sidecars: for each folder, a list of sidecars and their pictures in the cache.

A line is written before its sidecar is. Where the sidecar takes the place of another file, the line
also says what that one held: as long as it still holds it, the sidecar was not written.
"""

import hashlib
import json
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cutline.errors import UsageError
from cutline.results.places import kept_for

__all__ = ["Owners"]

LARGEST = 1 << 20  # bytes of a json that may be ours
FOLDERS = 16  # whose lists are remembered


class _Entry(NamedTuple):
    picture: str
    before: str | None = None  # digest of the file that was there


class Owners:
    """The picture that each sidecar belongs to."""

    def __init__(self) -> None:
        self._lists: OrderedDict[Path, dict[str, _Entry]] = OrderedDict()

    def of(self, sidecar: Path) -> str | None:
        """Return the name of its picture, or None where nobody knows."""
        if sidecar.suffix == ".json":
            return _picture_in(sidecar)
        if not sidecar.is_file():
            return None
        entry = self._list(sidecar.parent).get(sidecar.name)
        if entry is not None and not (entry.before and entry.before == _digest(sidecar)):
            return entry.picture
        return _picture_in(sidecar.with_suffix(".json")) if sidecar.suffix == ".txt" else None

    def tell(self, sidecar: Path, picture: str, *, replaces: bool) -> None:
        """Remember, before it is written, that a sidecar is of a picture.

        `replaces`: the file that is there will be another afterwards.
        """
        before = _digest(sidecar) if replaces else None
        line = [sidecar.name, picture, *([before] if before else [])]
        with (
            suppress(OSError, UsageError),
            _place(sidecar.parent).open("a", encoding="ascii") as of,
        ):
            of.write(json.dumps(line) + "\n")
        if sidecar.parent in self._lists:
            self._lists[sidecar.parent][sidecar.name] = _Entry(picture, before)

    def _list(self, folder: Path) -> dict[str, _Entry]:
        if folder not in self._lists:
            self._lists[folder] = _read_list(folder)
            if len(self._lists) > FOLDERS:
                self._lists.popitem(last=False)
        return self._lists[folder]


def _place(folder: Path) -> Path:
    return kept_for(folder, "sidecars").with_suffix(".jsonl")


def _read_list(folder: Path) -> dict[str, _Entry]:
    owners = {}
    with suppress(OSError, UsageError):
        for line in _place(folder).read_text(encoding="ascii", errors="replace").split("\n"):
            with suppress(ValueError, TypeError):  # a line that was cut off
                sidecar, *rest = json.loads(line)
                owners[sidecar] = _Entry(*rest)
    return owners


def _digest(path: Path) -> str | None:
    """Return what tells the content of a file from another; None where there is no file."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:32]
    except OSError:
        return None


def _picture_in(sidecar: Path) -> str | None:
    """Return the name of the picture of a json of ours."""
    try:
        if not 0 < sidecar.stat().st_size <= LARGEST:
            return None
        content = json.loads(sidecar.read_bytes())
        return Path(content["image"]).name if isinstance(content["caption"], str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
