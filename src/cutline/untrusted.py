"""Untrusted files: regular files of bounded size, JSON of bounded depth.

A file that may not be read is refused before it is opened; a pipe or a device would wait for ever.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from cutline.errors import ModelError
from cutline.files import printable

__all__ = ["MEGABYTE", "check_size", "parse_json", "read_json", "read_text", "shortened"]

MEGABYTE = 1_000_000
DEEPEST = 60  # brackets within brackets; more would end in Python's recursion limit somewhere


def check_size(path: Path, *, at_most: int) -> int:
    """Return the size of a regular file in bytes; links to one are followed.

    Raises:
        ModelError: there is no such file, it is no file, or it has more than `at_most` bytes.
    """
    name = printable(path)
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{name} cannot be read ({reason}).") from None
    if not stat.S_ISREG(found.st_mode):
        raise ModelError(f"{name} is no file ({_kind(found.st_mode)}); put a file in its place.")
    if found.st_size > at_most:
        raise ModelError(
            f"{name} has {found.st_size / MEGABYTE:,.1f} MB, and is not read: at most "
            f"{at_most / MEGABYTE:,.0f} MB are allowed."
        )
    return found.st_size


def read_text(path: Path, *, at_most: int) -> str:
    """Read a UTF-8 file; one that cannot be read, or is too large, is a `ModelError`."""
    check_size(path, at_most=at_most)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{printable(path)} cannot be read: {reason}.") from None


def read_json(path: Path, *, at_most: int) -> Any:
    """Read a JSON file; one that is no JSON, too large, or nested too deep is a `ModelError`."""
    return parse_json(read_text(path, at_most=at_most), printable(path))


def parse_json(text: str, name: str) -> Any:
    """Parse the JSON of a file of this name; none, or one nested too deep, is a `ModelError`."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:
        raise ModelError(f"{name} cannot be read: {shortened(error)}.") from None
    level = [content]
    for _ in range(DEEPEST):
        level = [part for value in level for part in _parts(value)]
    if level:
        raise _too_deep(name)
    return content


def shortened(value: object, *, longest: int = 120) -> str:
    """Return a value as a sentence may show it: printable, on one line, and not for pages."""
    text = value[: longest + 1] if isinstance(value, str) else str(value)
    text = printable(text)
    return text if len(text) <= longest else f"{text[:longest]} ..."


def _parts(value: Any) -> list[Any]:
    """Return what a list or an object of JSON holds, of what can hold more."""
    if not isinstance(value, list | dict):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [part for part in parts if isinstance(part, list | dict)]


def _too_deep(name: str) -> ModelError:
    return ModelError(
        f"{name} is nested too deep: at most {DEEPEST} brackets may stand within each other."
    )


def _kind(mode: int) -> str:
    for test, kind in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return kind
    return "a device"
