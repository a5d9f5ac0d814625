"""Contents of a sidecar of each kind, given what it holds already.

txt, caption  the words, on a line
json          all that is known of a caption, as `--format json` writes it
xmp           what photo managers read
"""

import json
import os
import stat
from pathlib import Path

from cutline.errors import DataError, UsageError, did_you_mean
from cutline.files import printable
from cutline.results.names import LINE
from cutline.results.rows import Row
from cutline.results.xmp import LARGEST, Xmp, merged_xmp, new_xmp, parse_xmp

__all__ = ["KINDS", "content_of", "read_xmp", "sidecar_kinds"]

KINDS = ("txt", "caption", "json", "xmp")


def sidecar_kinds(given: str) -> list[str]:
    """Read `txt,json`; an unknown kind is a `UsageError`."""
    kinds = [kind.strip().lower() for kind in given.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(
                f"There is no sidecar '{printable(kind)}'; {did_you_mean(kind, KINDS)}."
            )
    return list(dict.fromkeys(kinds))


def content_of(row: Row, kind: str, path: Path, *, append: bool) -> bytes:
    """Return what a sidecar is to hold.

    Args:
        row: the picture's caption.
        kind: of `KINDS`.
        path: of the sidecar; an `xmp` that is there is merged with.
        append: add to the words that are there instead of replacing them.

    Raises:
        DataError: what is there cannot be merged with, or added to.
    """
    if kind == "json":
        text = json.dumps(row.to_dict(), indent=1)
    elif kind == "xmp":
        return _xmp(row, path, append=append)
    else:
        text = LINE.escape(row.caption.hedged)
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    return _before(path) + data if append and os.path.lexists(path) else data


def read_xmp(path: Path) -> Xmp | None:
    """Read an XMP sidecar; None where there is none.

    Raises:
        DataError: it is none, or a stranger's that was made to do harm.
    """
    data = _read(path)
    if data is None:
        return None
    try:
        return parse_xmp(data)
    except DataError as error:
        raise DataError(f"{printable(path)} {error}; it is left as it is. Move it away.") from None


def _xmp(row: Row, path: Path, *, append: bool) -> bytes:
    text = LINE.escape(row.caption.hedged)
    there = read_xmp(path)
    if there is None:
        return new_xmp(text, row.model)
    return merged_xmp(there, text, row.model, append=append)


def _before(path: Path) -> bytes:
    """Return the text that a caption is added to, its last line ended."""
    data = _read(path) or b""
    try:
        data.decode()
    except ValueError:
        raise DataError(
            f"{printable(path)} is no UTF-8 text, and no caption is added to it; convert it."
        ) from None
    return data if data.endswith(b"\n") or not data else data + b"\n"


def _read(path: Path) -> bytes | None:
    """Read a regular file of bounded size; None where there is none."""
    name = printable(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{name} is no file, and no caption is written there; move it away.")
        if found.st_size > LARGEST:
            raise DataError(
                f"{name} has {found.st_size / 1e6:,.0f} MB, and at most {LARGEST / 1e6:.0f} MB "
                "are read; it is left as it is. Move it away."
            )
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror or error}).") from None
