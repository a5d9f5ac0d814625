"""Atomic file writing, and text that is safe to show on a terminal.

Every file that Cutline writes at once goes through `written`: into a draft beside it, which is
renamed when all went well and removed when not. A reader never sees half a file, and a full disk
leaves what was there before.
"""

import errno
import itertools
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from cutline.errors import UsageError

__all__ = [
    "cache_folder",
    "cannot_write",
    "check_free",
    "check_not_read",
    "check_place",
    "draft_mark",
    "inode",
    "printable",
    "state_of",
    "write_text",
    "written",
]

_ADVICE = {
    errno.ENOSPC: "make room or give another place",
    errno.EDQUOT: "make room or give another place",
    errno.ENAMETOOLONG: "give a shorter name",
}
_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, invisible, half a pair, line ends
_NUMBERS = itertools.count()  # of drafts
_JOINERS = "\u200c\u200d"  # belong to words (Persian) and to emoji


def cache_folder(given: str | None = None) -> Path:
    """Return where caches live: as given, `$CUTLINE_CACHE`, or the user's cache folder."""
    if given:
        return Path(given).expanduser()
    if chosen := os.environ.get("CUTLINE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cutline"


def check_free(*paths: Path | str | None, overwrite: bool) -> None:
    """Refuse, before any work is done, paths at which no file may be written.

    A folder that does not exist yet is no fault: `written` makes it. `None` is passed over.

    Raises:
        UsageError: a path exists without `overwrite`, or no file can be written there at all.
    """
    for path in (Path(path) for path in paths if path is not None):
        check_place(path)
        if path.exists() and not overwrite:
            raise UsageError(
                f"{printable(path)} exists and is not overwritten; give another name, or --force."
            )


def check_place(path: Path | str) -> None:
    """Refuse a path at which no file can be written, whether there is one or not.

    Raises:
        UsageError: it is a folder, a device or a pipe, or lies below a file, or may not be written.
    """
    path, name = Path(path), printable(path)
    try:
        target = path.resolve()
        kind = target.stat().st_mode if target.exists() else None
        there = next(parent for parent in target.parents if parent.exists())
    except (OSError, RuntimeError) as error:  # a name that is too long, links that go in circles
        raise cannot_write(path, error) from None
    if kind is not None and stat.S_ISDIR(kind):
        raise UsageError(f"{name} is a folder; give the name of a file in it.")
    if kind is not None and not stat.S_ISREG(kind):
        raise UsageError(f"{name} is a device or a pipe, not a file; give the name of a file.")
    if not there.is_dir():
        raise UsageError(
            f"{name} cannot be written, because {printable(there)} is a file, not a folder; "
            "give another place."
        )
    if kind is not None and not os.access(target, os.W_OK):
        raise UsageError(f"{name} may not be written (read-only); give another name.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"{name} cannot be written, because nothing may be written in {printable(there)}; "
            "give another place."
        )


def check_not_read(path: Path | str | None, inputs: Iterable[Path | str]) -> None:
    """Refuse to write to a file that is read, by whatever name; `None` is passed over.

    An input that is a folder stands for the files in it.

    Raises:
        UsageError: `path` is one of `inputs`.
    """
    if path is None or (own := inode(path)) is None:
        return
    for given in map(Path, inputs):
        for file in [given, *(given.iterdir() if given.is_dir() else ())]:
            if inode(file) == own:
                raise UsageError(
                    f"{printable(path)} is {printable(file)}, which is read here and not "
                    "overwritten; give another name."
                )


def inode(path: Path | str) -> tuple[int, int] | None:
    """Return what two names of one file have in common; None where there is no file."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - of many pictures
    except (OSError, ValueError):
        return None
    return facts.st_dev, facts.st_ino


def state_of(path: Path | str) -> tuple[int, ...] | None:
    """Return what changes when a file is written to or replaced; None where there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - of many pictures
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def written(path: Path | str, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a draft beside `path` to write to; it becomes `path` when all went well.

    What a symbolic link points to is replaced, not the link. A file that was there keeps its
    permissions.

    Raises:
        UsageError: as `check_free`, or when writing fails; nothing is left behind then.
    """
    check_free(path, overwrite=overwrite)
    target = Path(path).resolve()
    draft = target.with_name(_draft_name())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        if target.exists():
            draft.chmod(target.stat().st_mode & 0o7777)
        draft.replace(target)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def draft_mark() -> str:
    """Return what the names of this process's drafts begin with, after their dot: 10 hex digits."""
    return _mark(os.getpid())


@cache
def _mark(_: int) -> str:
    return secrets.token_hex(5)


def _draft_name() -> str:
    """Return `.MARKNUMBER.part`, short, because names end at 255 bytes."""
    return f".{draft_mark()}{next(_NUMBERS) & 0xFFFFFF:06x}.part"


def write_text(path: Path | str, text: str, *, overwrite: bool = True) -> None:
    r"""Write a UTF-8 file whole or not at all; half a surrogate pair becomes `\udcff`."""
    with written(path, overwrite=overwrite) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def cannot_write(path: Path | str, error: Exception) -> UsageError:
    """Return the sentence for a file that could not be written."""
    reason = getattr(error, "strerror", None) or error
    advice = _ADVICE.get(getattr(error, "errno", None) or 0, "give another place")
    return UsageError(f"{printable(path)} cannot be written ({reason}); {advice}.")


def printable(text: Path | str) -> str:
    r"""Return text without what a terminal would obey: controls and invisible characters escaped.

    Letters of every script, and the joiners within words and emoji, stay.

    >>> printable("a\x1b[2Jb\n"), printable("caf\xe9 \udcff")
    ('a\\x1b[2Jb\\n', 'café \\udcff')
    """
    if (given := str(text)).isprintable():
        return given
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _CATEGORIES and character not in _JOINERS
        else character
        for character in given
    )
