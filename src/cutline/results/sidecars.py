"""Sidecars: captions beside pictures, in photo.txt or photo.json.

Each picture has files of its own. Where photo.txt is another picture's, or is itself an input, the
caption of photo.png goes to photo.png.txt. Whose a text is, is kept in the cache folder: a text of
the user's is never taken for a caption, nor replaced without `force`.
"""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cutline.errors import UsageError, did_you_mean
from cutline.files import inode, printable, write_text
from cutline.results.names import LINE, identity
from cutline.results.places import kept_for
from cutline.results.rows import Row

__all__ = ["Sidecars", "sidecar_kinds"]

KINDS = ("txt", "json")
LARGEST = 1 << 20  # bytes of a json that may be ours


def sidecar_kinds(given: str) -> list[str]:
    """Read `txt,json`; an unknown kind is a `UsageError`."""
    kinds = [kind.strip().lower() for kind in given.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(
                f"There is no sidecar '{printable(kind)}'; {did_you_mean(kind, KINDS)}."
            )
    return list(dict.fromkeys(kinds))


class Sidecars:
    """The sidecars of the pictures of a run, their names decided before work begins.

    Args:
        kinds: of `KINDS`.
        images: the pictures of the run.
        inputs: files that are never written to; the pictures are, in any case.
        resume: whether captions that are there count as done.
        force: whether files that are there are replaced.

    Attributes:
        faults: sentences about sidecars that cannot be written, by picture.
        renamed: the sidecars that have the whole name of their picture before the suffix.
    """

    def __init__(
        self,
        kinds: list[str],
        images: list[Path],
        inputs: Iterable[Path] = (),
        *,
        resume: bool,
        force: bool,
    ) -> None:
        self.faults: dict[Path, list[str]] = {}
        self.renamed: list[Path] = []
        self._resume = resume
        self._force = force
        self._owners = _Owners()
        self._inputs = {identity(path) for path in [*images, *inputs]} if kinds else set()
        self._files = {found for path in [*images, *inputs] if kinds and (found := inode(path))}
        self._paths: dict[Path, dict[str, Path]] = {image: {} for image in images}
        self._done: set[tuple[Path, str]] = set()
        for kind in kinds:
            self._plan(kind, images)

    def done(self, image: Path) -> bool:
        """Say whether an earlier run wrote all that is to stand beside `image`."""
        return image not in self.faults and not self.left(image)

    def left(self, image: Path) -> bool:
        """Say whether there is anything to write beside `image`, and a place for it."""
        return any((image, kind) not in self._done for kind in self._paths[image])

    def write(self, row: Row) -> list[str]:
        """Write the sidecars of one picture; return a sentence for each that could not be."""
        faults = []
        for kind, path in self._paths[row.image].items():
            if (row.image, kind) in self._done or self._was_written_meanwhile(path, row.image):
                continue
            text = (
                LINE.escape(row.caption.hedged)
                if kind == "txt"
                else json.dumps(row.to_dict(), indent=1)
            )
            self._owners.tell(path, row.image.name)  # before it is there: a kill may come between
            try:
                write_text(path, text + "\n", overwrite=self._force)
            except UsageError as error:
                faults.append(str(error))
        return faults

    def _was_written_meanwhile(self, path: Path, image: Path) -> bool:
        """Say whether another process wrote the sidecar of `image` since this one began."""
        return self._resume and os.path.lexists(path) and _Owners().of(path) == image.name

    def _plan(self, kind: str, images: list[Path]) -> None:
        """Decide where each picture's sidecar of one kind goes."""
        rivals: dict[str, list[Path]] = {}
        for image in images:
            rivals.setdefault(identity(_short(image, kind)), []).append(image)
        taken: dict[str, Path] = {}
        for alike in rivals.values():
            keeper = self._keeper(alike, kind)
            for image in sorted(alike, key=lambda one: one != keeper):
                path = _short(image, kind) if image == keeper else _full(image, kind)
                fault = self._fault(path, image, taken.setdefault(identity(path), image))
                if fault:
                    self.faults.setdefault(image, []).append(fault)
                    continue
                self._paths[image][kind] = path
                if path != _short(image, kind):
                    self.renamed.append(path)

    def _keeper(self, alike: list[Path], kind: str) -> Path | None:
        """Return which of several pictures has the short name; None if that is somebody else's."""
        short = _short(alike[0], kind)
        if self._is_input(short):
            return None
        if (owner := self._owners.of(short)) is not None:
            return next((image for image in alike if image.name == owner), None)
        return next((image for image in alike if _full(image, kind) == short), alike[0])

    def _fault(self, path: Path, image: Path, of: Path) -> str | None:
        name = printable(path)
        if of != image:
            return f"{name} would hold the captions of two pictures; rename {printable(image)}."
        if self._is_input(path):
            return f"{name} is read in this run and is not overwritten; rename it."
        if not os.path.lexists(path) or self._force:
            return None
        if not self._resume:
            return f"{name} exists and is not overwritten; --force replaces it."
        if self._owners.of(path) == image.name:
            self._done.add((image, path.suffix[1:]))
            return None
        return (
            f"{name} is not known as a caption of {printable(image)} and is not overwritten; "
            "move it, or --force replaces it."
        )

    def _is_input(self, path: Path) -> bool:
        return identity(path) in self._inputs or inode(path) in self._files


class _Owners:
    """Which picture a sidecar is of: in the cache a list for each folder, of names."""

    def __init__(self) -> None:
        self._lists: dict[Path, dict[str, str]] = {}

    def of(self, sidecar: Path) -> str | None:
        """Return the name of its picture, or None where nobody knows."""
        if sidecar.suffix == ".json":
            return _picture_in(sidecar)
        if not sidecar.is_file():
            return None
        if sidecar.parent not in self._lists:
            self._lists[sidecar.parent] = _read_list(sidecar.parent)
        return self._lists[sidecar.parent].get(sidecar.name) or _picture_in(
            sidecar.with_suffix(".json")
        )

    def tell(self, sidecar: Path, picture: str) -> None:
        """Remember that a sidecar is of a picture."""
        with suppress(OSError, UsageError), _list(sidecar.parent).open("a", encoding="ascii") as of:
            of.write(json.dumps([sidecar.name, picture]) + "\n")


def _list(folder: Path) -> Path:
    return kept_for(folder, "sidecars").with_suffix(".jsonl")


def _read_list(folder: Path) -> dict[str, str]:
    owners = {}
    with suppress(OSError, UsageError):
        for line in _list(folder).read_text(encoding="ascii", errors="replace").split("\n"):
            with suppress(ValueError):  # a line that was cut off
                sidecar, picture = json.loads(line)
                owners[sidecar] = picture
    return owners


def _picture_in(sidecar: Path) -> str | None:
    """Return the name of the picture of a json of ours."""
    try:
        if not 0 < sidecar.stat().st_size <= LARGEST:
            return None
        content = json.loads(sidecar.read_bytes())
        return Path(content["image"]).name if isinstance(content["caption"], str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _short(image: Path, kind: str) -> Path:
    """photo.jpg -> photo.txt; what follows the dot of `2024.01.15 14.30` is no suffix."""
    is_suffix = re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", image.suffix)
    return image.with_suffix(f".{kind}") if is_suffix else _full(image, kind)


def _full(image: Path, kind: str) -> Path:
    return image.with_name(f"{image.name}.{kind}")
