"""Inputs of a run: picture files, Parquet files and tars, on this machine or at addresses."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cutline.batch.storage import Storage, is_address
from cutline.errors import DataError, UsageError
from cutline.files import printable
from cutline.images import IMAGE_SUFFIXES, find_images
from cutline.results import identity

__all__ = ["Container", "Inputs", "find_inputs", "kind_of"]

_KINDS = {".parquet": "parquet", ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar"}


class Container(NamedTuple):
    """A file of many pictures.

    Attributes:
        storage: the address whose file system has it; empty for this machine's files.
        path: of the file, as that file system writes it.
        kind: `parquet` or `tar`.
        size: in bytes.
    """

    storage: str
    path: str
    kind: str
    size: int


class Inputs(NamedTuple):
    """Result of a search.

    Attributes:
        images: paths of picture files, by the address whose file system has them; empty for this
            machine's.
        containers: files of many pictures.
        problems: sentences about what was not found.
        notes: sentences about what was passed over on purpose.
    """

    images: dict[str, list[str]]
    containers: list[Container]
    problems: list[str]
    notes: list[str]


def kind_of(path: str) -> str | None:
    """Return which kind of container a file is by its name: `parquet`, `tar`, or none.

    >>> kind_of("train-00000.parquet"), kind_of("a/000.tar.gz"), kind_of("photo.jpg")
    ('parquet', 'tar', None)
    """
    name = path.lower()
    return next((kind for suffix, kind in _KINDS.items() if name.endswith(suffix)), None)


def find_inputs(paths: Iterable[str], *, out: str, exclude: Sequence[str] = ()) -> Inputs:
    """Expand files, folders, globs and addresses; each file comes once.

    A folder, or an address of one, gives the Parquet files and tars in it and below it, and the
    pictures, hidden ones left out. What lies in `out` is left out: it is written here.

    Args:
        paths: what is asked for.
        out: the folder that is written to.
        exclude: globs of what is left out, as `cutline.images.find_images` takes them.

    Raises:
        UsageError: `exclude` is given with addresses.
    """
    found = Inputs({}, [], [], [])
    local: list[str] = []
    seen: set[str] = set()  # by name: one file may be below several addresses
    for path in dict.fromkeys(paths):
        if path.startswith("file://"):
            local.append(path.removeprefix("file://"))
        elif is_address(path):
            if exclude:
                raise UsageError(
                    "--exclude is for files of this machine; leave it out, or say by a glob which "
                    "files of an address are wanted (s3://bucket/2026-*/*.jpg)."
                )
            try:
                _at_address(path, out, found, seen)
            except DataError as error:
                found.problems.append(str(error))
        else:
            local.append(path)
    if local:
        _here(local, out, exclude, found)
    return found


def _at_address(address: str, out: str, found: Inputs, seen: set[str]) -> None:
    storage = Storage(address)
    ours = Storage(out).path.rstrip("/") + "/" if is_address(out) else None
    images, any_found = [], False
    files = [path for path in storage.files() if ours is None or not path.startswith(ours)]
    for path in files:
        kind = kind_of(path)
        if kind is None and path != storage.path and not _is_picture(path):
            continue
        any_found = True
        if storage.name(path) in seen:
            continue
        seen.add(storage.name(path))
        if kind is None:
            images.append(path)
        else:
            found.containers.append(Container(address, path, kind, storage.size(path)))
    if images:
        found.images[address] = images
    if not any_found:
        found.problems.append(
            f"{printable(storage.name(storage.path))} holds no pictures, no Parquet files and no "
            "tars, or does not exist; give another address."
        )


def _is_picture(path: str) -> bool:
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def _here(paths: list[str], out: str, exclude: Sequence[str], found: Inputs) -> None:
    containers = {identity(path): path for given in paths for path in _containers(given, out)}
    rest = [path for given in paths for path in _pictures(given)]
    if containers and exclude:
        kept = find_images(containers.values(), exclude=exclude).files
        containers = {identity(path): str(path) for path in kept}
    found.containers.extend(
        Container("", path, kind_of(path) or "", os.stat(path).st_size)  # noqa: PTH116
        for path in containers.values()
    )
    pictures = find_images(rest, exclude=exclude)
    each = {identity(path): str(path) for path in pictures.files}
    if each:
        found.images[""] = list(each.values())
    folders = {given for given in paths if any(True for _ in _containers(given, out))}
    found.problems.extend(sentence for path, sentence in pictures.problems if path not in folders)
    found.notes.extend(pictures.notes)


def _containers(given: str, out: str) -> Iterator[str]:
    """Yield the Parquet files and tars that a local argument means."""
    if Path(given).is_dir():
        ours = None if is_address(out) else os.path.realpath(out)
        for folder, folders, names in os.walk(given):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) != ours  # noqa: PTH118
            )
            if os.path.realpath(folder) != ours:
                yield from (
                    os.path.join(folder, name)  # noqa: PTH118
                    for name in sorted(names)
                    if kind_of(name)
                    and not name.startswith(".")
                    and os.path.isfile(os.path.join(folder, name))  # noqa: PTH113, PTH118
                )
    elif os.path.lexists(given):
        if kind_of(given) and os.path.isfile(given):  # noqa: PTH113 - a pipe would be waited for
            yield given
    elif glob.has_magic(given):
        for match in sorted(glob.iglob(given, recursive=True)):  # noqa: PTH207
            yield from _containers(match, out)


def _pictures(given: str) -> Iterator[str]:
    """Yield what of a local argument is left for the search of pictures."""
    if kind_of(given) and os.path.isfile(given):  # noqa: PTH113
        return
    if not os.path.lexists(given) and glob.has_magic(given):
        matches = sorted(glob.iglob(given, recursive=True))  # noqa: PTH207
        if any(kind_of(match) for match in matches):
            yield from (
                match
                for match in matches
                if not (kind_of(match) and os.path.isfile(match))  # noqa: PTH113
            )
            return
    yield given
