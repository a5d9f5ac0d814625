"""Sidecars: captions beside pictures, in photo.txt or photo.json.

Each picture has files of its own. Where photo.txt is another picture's, or is itself an input, the
caption of photo.png goes to photo.png.txt; `xmp` always has the whole name, as photo managers
expect.
Whose a text is, is kept in the cache folder: a text of the user's is never taken for a caption, nor
changed unless the run says so.
"""

import os
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from cutline.errors import DataError, UsageError
from cutline.files import inode, printable, state_of, written
from cutline.results.contents import KINDS, content_of, read_xmp
from cutline.results.lock import one_at_a_time
from cutline.results.names import identity
from cutline.results.owners import Owners
from cutline.results.rows import Row
from cutline.results.xmp import described

__all__ = ["Existing", "Sidecars"]

TRIES = 3  # another program may write a sidecar at the same time


class Existing(StrEnum):
    """Treatment of an existing sidecar: report a failure, skip, overwrite, or append."""

    KEEP = "keep"
    SKIP = "skip"
    OVERWRITE = "overwrite"
    APPEND = "append"


class Sidecars:
    """The sidecars of the pictures of a run, their names decided before work begins.

    Args:
        kinds: of `KINDS`.
        images: the pictures of the run.
        inputs: files that are never written to; the pictures are, in any case.
        resume: whether captions of Cutline's that are there count as done.
        existing: what becomes of any other sidecar that is there.

    Attributes:
        faults: sentences about sidecars that cannot be written, by picture.
        renamed: the sidecars that have the whole name of their picture before the suffix, because
            the short one is not free.
    """

    def __init__(
        self,
        kinds: list[str],
        images: list[Path],
        inputs: Iterable[Path] = (),
        *,
        resume: bool,
        existing: Existing = Existing.KEEP,
    ) -> None:
        self.faults: dict[Path, list[str]] = {}
        self.renamed: list[Path] = []
        self._kinds = kinds
        self._resume = resume
        self._existing = existing
        self._owners = Owners()
        self._inputs = _Inputs()
        self._long: set[tuple[Path, str]] = set()  # the pictures whose sidecars are renamed
        self._over: dict[str, set[Path]] = {kind: set() for kind in kinds}  # done, or at fault
        self._inputs.add(inputs)
        self.add(images)

    def add(self, images: list[Path]) -> None:
        """Decide where the sidecars of more pictures go."""
        if not self._kinds:
            return
        self._inputs.add(images)
        stems: dict[str, list[Path]] = {}
        for image in images:
            stems.setdefault(identity(_stem(image)), []).append(image)
        for kind in self._kinds:
            for alike in stems.values():
                keeper = None if kind == "xmp" else self._keeper(alike, kind)
                for image in alike:
                    if image != keeper and kind != "xmp":
                        self._long.add((image, kind))
                    self._look(image, kind, stems)

    def done(self, image: Path) -> bool:
        """Say whether all that is to stand beside `image` is there."""
        return image not in self.faults and not self.left(image)

    def left(self, image: Path) -> bool:
        """Say whether there is anything to write beside `image`, and a place for it."""
        return any(image not in over for over in self._over.values())

    def write(self, row: Row) -> list[str]:
        """Write the sidecars of one picture; return a sentence for each that could not be."""
        faults = []
        for kind in self._kinds:
            if row.image in self._over[kind]:
                continue
            path = self._path(row.image, kind)
            try:
                with one_at_a_time(path.parent):  # else `forget` could disown another's sidecar
                    self._write(row, kind, path)
            except (DataError, UsageError) as error:
                faults.append(str(error))
        return faults

    def _write(self, row: Row, kind: str, path: Path) -> None:
        for _ in range(TRIES):
            before = state_of(path)
            if self._is_done(path, row.image, kind):  # another process may have written meanwhile
                return
            append = self._existing is Existing.APPEND
            data = content_of(row, kind, path, append=append)
            same = before is not None and _holds(path, data)
            if kind != "xmp":  # before it is there: a kill may come between
                self._owners.tell(path, row.image.name, replaces=not same)
            if same:
                return
            try:
                with written(path, overwrite=before is not None) as draft:
                    draft.write_bytes(data)
                    if state_of(path) != before:
                        raise _ChangedError
            except _ChangedError:
                self._owners.forget(path)
            except (DataError, UsageError):
                self._owners.forget(path)
                raise
            else:
                return
        raise UsageError(
            f"{printable(path)} is being changed by another program; caption "
            f"{printable(row.image)} again when that has ended."
        )

    def _path(self, image: Path, kind: str) -> Path:
        return _full(image, kind) if (image, kind) in self._long else _short(image, kind)

    def _keeper(self, alike: list[Path], kind: str) -> Path | None:
        """Return which of several pictures has the short name; None if that is somebody else's."""
        short = _short(alike[0], kind)
        if self._inputs.have(short):
            return None
        if (owner := self._owners.of(short)) is not None:
            return next((image for image in alike if image.name == owner), None)
        return next((image for image in alike if _full(image, kind) == short), alike[0])

    def _look(self, image: Path, kind: str, stems: dict[str, list[Path]]) -> None:
        """Find out whether a sidecar is there, or cannot be."""
        path = self._path(image, kind)
        try:
            if (image, kind) in self._long:
                self._check_free_of_others(path, image, kind, stems)
            if self._is_done(path, image, kind):
                self._over[kind].add(image)
        except DataError as error:
            self._over[kind].add(image)
            self.faults.setdefault(image, []).append(str(error))
        else:
            if (image, kind) in self._long:
                self.renamed.append(path)

    def _check_free_of_others(
        self, path: Path, image: Path, kind: str, stems: dict[str, list[Path]]
    ) -> None:
        """Refuse a long name that is the short one of another picture (a.png, a.png.jpg)."""
        rivals = [one for one in stems.get(identity(image), []) if one != image]
        if rivals and self._keeper(rivals, kind) is not None:
            raise DataError(
                f"{printable(path)} would hold the captions of two pictures; rename "
                f"{printable(image)}."
            )

    def _is_done(self, path: Path, image: Path, kind: str) -> bool:
        """Say whether a sidecar is there and stays; a `DataError` where it must not be touched."""
        name = printable(path)
        if self._inputs.have(path):
            raise DataError(f"{name} is read in this run and is not overwritten; rename it.")
        if not os.path.lexists(path):
            return False
        if kind == "xmp":
            found = read_xmp(path)
            said = described(found) if found is not None else None
            if said is None or not (said.description or said.alt_text):
                return False
            ours, what = said.model is not None, "has a description, which"
        else:
            ours, what = self._resume and self._owners.of(path) == image.name, "exists and"
        if (ours and self._resume) or self._existing is Existing.SKIP:
            return True
        if self._existing is not Existing.KEEP:
            return False
        if self._resume and kind != "xmp":
            what = f"is not known as a caption of {printable(image)} and"
        raise DataError(
            f"{name} {what} is not overwritten; --overwrite replaces it, --skip-existing passes "
            "it over."
        )


class _ChangedError(Exception):
    """Another program wrote to a sidecar between our reading and our writing."""


class _Inputs:
    """Files that are read, and therefore never written to, whatever they are called."""

    def __init__(self) -> None:
        self._named: set[str] = set()  # those that end as sidecars do: few or none
        self._files: set[tuple[int, int]] = set()
        self._unseen: list[Path] = []

    def add(self, paths: Iterable[Path]) -> None:
        """Add files."""
        for path in paths:
            self._unseen.append(path)
            if path.suffix[1:].lower() in KINDS:
                self._named.add(identity(path))
                if (found := inode(path)) is not None:
                    self._files.add(found)

    def have(self, path: Path) -> bool:
        """Say whether a path is one of them, or another name of one."""
        if self._named and identity(path) in self._named:
            return True
        try:
            facts = os.lstat(path)
        except (OSError, ValueError):
            return False
        if facts.st_nlink > 1 or os.path.islink(path):  # noqa: PTH114 - the files of a whole library
            self._files.update(found for one in self._unseen if (found := inode(one)))
            self._unseen.clear()
        return inode(path) in self._files


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _stem(image: Path) -> str:
    """photo.jpg -> photo; what follows the dot of `2024.01.15 14.30` is no suffix."""
    given = str(image)
    is_suffix = re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", image.suffix)
    return given.removesuffix(image.suffix) if is_suffix else given


def _short(image: Path, kind: str) -> Path:
    return _full(image, kind) if kind == "xmp" else Path(f"{_stem(image)}.{kind}")


def _full(image: Path, kind: str) -> Path:
    return Path(f"{image}.{kind}")
