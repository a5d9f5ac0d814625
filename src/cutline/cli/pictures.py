"""Picture arguments: files, folders and globs, or a list on standard input."""

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Asked", "expanded", "pictures"]

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class Asked(NamedTuple):
    """The pictures to read, and whether one file was named.

    `problems` are what was not found and a sentence about it, `notes` about what was passed over.
    """

    files: list[Path]
    problems: list[tuple[str | None, str]]
    notes: list[str]
    single: bool


def pictures(arguments: list[str], exclude: list[str] | None = None) -> Asked:
    """Find the pictures of a command line; `-` stands for the list on standard input.

    `exclude`: globs of what is left out.
    """
    from cutline.images import find_images
    from cutline.results import identity

    single = len(arguments) == 1 and arguments[0] != "-" and os.path.isfile(arguments[0])  # noqa: PTH113
    problems: list[tuple[str | None, str]] = []
    found = find_images(list(expanded(arguments, problems)), exclude=exclude or ())
    problems += found.problems
    each: dict[str, Path] = {}
    for path in found.files:  # one picture may be reached through several links to its folder
        each.setdefault(identity(path), path)
    return Asked(list(each.values()), problems, found.notes, single)


def expanded(arguments: list[str], problems: list[tuple[str | None, str]]) -> Iterator[str]:
    """Yield arguments, the list on standard input in the place of `-`; what is wrong with it."""
    if "-" not in arguments:
        yield from arguments
        return
    listed = _names(_standard_input())
    if not listed:
        sentence = (
            "The list on standard input is empty; give names of pictures, one a line or with "
            "NUL bytes between."
        )
        problems.append((None, sentence))
    for argument in dict.fromkeys(arguments):
        if argument == "-":
            yield from listed
        else:
            yield argument


def _standard_input() -> bytes:
    if sys.stdin is None:  # closed
        return b""
    return sys.stdin.buffer.read()


def _names(data: bytes) -> list[str]:
    """Split a list at its NUL bytes (`find -print0`), or into lines."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            text = data.removeprefix(mark)
            data = text if encoding == "utf-8" else os.fsencode(text.decode(encoding, "replace"))
            break
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip()]
    return [os.fsdecode(name) for name in names if name]
