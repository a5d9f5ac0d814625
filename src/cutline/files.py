"""Writing files whole or not at all, and text that is safe to show on a terminal.

Every file that Cutline writes at once goes through `written`: into a draft beside it, which is
renamed when all went well and removed when not. A reader never sees half a file, and a full disk
leaves what was there before.
"""

import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cutline.errors import UsageError

__all__ = [
    "cannot_write",
    "check_free",
    "printable",
    "restore_folder",
    "write_text",
    "written",
    "written_folder",
]

_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, invisible, half a pair, line ends
_JOINERS = "\u200c\u200d"  # belong to words (Persian) and to emoji


def check_free(*paths: Path | str | None, overwrite: bool) -> None:
    """Refuse, before any work is done, paths at which no file may be written.

    A folder that does not exist yet is no fault: `written` makes it. `None` is passed over.

    Raises:
        UsageError: a path is a folder, or exists without `overwrite`, or lies below a file.
    """
    for path in (Path(path) for path in paths if path is not None):
        name = printable(path)
        if path.is_dir():
            raise UsageError(f"{name} is a folder; give the name of a file in it.")
        if path.exists() and not overwrite:
            raise UsageError(
                f"{name} exists and is not overwritten; give another name, or --force."
            )
        there = next(parent for parent in path.absolute().parents if parent.exists())
        if not there.is_dir():
            raise UsageError(
                f"{name} cannot be written, because {printable(there)} is a file, not a folder; "
                "give another place."
            )


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
    draft = target.with_name(f".{secrets.token_hex(8)}.part")  # short: names end at 255 bytes
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


@contextmanager
def written_folder(path: Path | str) -> Iterator[Path]:
    """Yield the draft of a folder; it replaces `path` when all went well.

    A folder cannot be replaced in one step: the older one waits as `.NAME.old` for a moment, and
    when a kill falls into that moment, the next call puts it back.

    Raises:
        UsageError: writing fails; nothing is left behind then.
    """
    target = Path(path)
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    old = target.with_name(f".{target.name}.old")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{printable(path)} is a file; give the name of a folder.")
    try:
        restore_folder(target)
        draft.mkdir(parents=True)
        yield draft
        if target.exists():
            target.rename(old)
        draft.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        with suppress(OSError):
            restore_folder(target)
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def restore_folder(path: Path | str) -> None:
    """Put back the folder that waited while a kill fell between the steps of replacing it."""
    target = Path(path)
    old = target.with_name(f".{target.name}.old")
    if old.is_dir() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path | str, text: str, *, overwrite: bool = True) -> None:
    r"""Write a UTF-8 file whole or not at all; half a surrogate pair becomes `\udcff`."""
    with written(path, overwrite=overwrite) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def cannot_write(path: Path | str, error: OSError) -> UsageError:
    """Return the sentence for a file that could not be written."""
    return UsageError(
        f"{printable(path)} cannot be written ({error.strerror or error}); make room or give "
        "another place."
    )


def printable(text: Path | str) -> str:
    r"""Return text without what a terminal would obey: controls and invisible characters escaped.

    Letters of every script, and the joiners within words and emoji, stay.

    >>> printable("a\x1b[2Jb\n"), printable("caf\xe9 \udcff")
    ('a\\x1b[2Jb\\n', 'café \\udcff')
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _CATEGORIES and character not in _JOINERS
        else character
        for character in str(text)
    )
