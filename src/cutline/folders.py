"""Atomic folder writing.

A folder is drafted beside its place and renamed. One that was there is moved away first, and
deleted last: a process killed between the two renames leaves it under its other name, where
`recovered` finds it.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cutline.errors import UsageError
from cutline.files import cannot_write, printable

__all__ = ["check_free_folder", "recovered", "written_folder"]

LONGEST = 255  # bytes of a name
TRIES = 3  # another process may put a folder there at the same time


def check_free_folder(path: Path | str) -> None:
    """Refuse, before any work is done, a path at which no new folder may be written.

    Raises:
        UsageError: something is there, or the path lies below a file.
    """
    if os.path.lexists(path):
        raise UsageError(f"{printable(path)} exists and is not overwritten; give another folder.")
    _check_place(Path(path))


@contextmanager
def written_folder(path: Path | str, *, own: Collection[str]) -> Iterator[Path]:
    """Yield a draft beside `path` to write to; it becomes `path` when all went well.

    It takes the place of a folder that was there. What a symbolic link points to is replaced, not
    the link.

    Args:
        path: where the folder is to be.
        own: names that are written here; files of other names in an old folder are kept.

    Raises:
        UsageError: a file is there, or a folder with none of `own`, or writing fails; what was
            there is as it was then, and nothing else is left.
    """
    _check_place(Path(path))
    target = recovered(Path(os.path.realpath(path)))
    _check_replaceable(target, own)
    draft = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        yield draft
        _replace(draft, target, own)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def recovered(path: Path) -> Path:
    """Return `path`; a folder that a killed process had moved away from there is put back."""
    target = Path(os.path.realpath(path))
    if not os.path.lexists(target):
        with suppress(OSError):  # none was moved away, or nothing may be written here
            _aside(target).rename(target)
    return path


def _replace(draft: Path, target: Path, own: Collection[str]) -> None:
    aside = _aside(target)
    for left in reversed(range(TRIES)):
        if recovered(target).exists():
            _clear(aside, target, own)  # of a process killed after both renames
            target.rename(aside)
        try:
            draft.rename(target)
        except OSError:
            recovered(target)
            if not left:
                raise
        else:
            _clear(aside, target, own)
            return


def _clear(aside: Path, target: Path, own: Collection[str]) -> None:
    """Delete what was moved away, but for files of other names: they go where they were."""
    if not aside.is_dir():
        return
    for entry in aside.iterdir():
        if entry.name not in own and not os.path.lexists(target / entry.name):
            entry.rename(target / entry.name)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(target: Path) -> Path:
    """Return where a folder is kept while another takes its place: `.NAME.old` beside it."""
    name = f".{target.name}.old"
    if len(os.fsencode(name)) > LONGEST:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()}.old"
    return target.parent / name


def _check_replaceable(target: Path, own: Collection[str]) -> None:
    found = os.listdir(target) if target.is_dir() else []  # noqa: PTH208
    if found and not set(found) & set(own):
        raise UsageError(
            f"{printable(target)} is a folder of other things ({printable(min(found))}), and is "
            "not replaced; give another folder."
        )


def _check_place(path: Path) -> None:
    there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(
            f"{printable(path)} cannot be written, because {printable(there)} is a file, not a "
            "folder; give another place."
        )
