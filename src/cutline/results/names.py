r"""File names as text: any bytes escaped, and identity of the pictures they mean.

A name that is not UTF-8 has half surrogate pairs for its odd bytes (PEP 383). Written to a file
they become `\udcff`, as other characters that would break a row or command a terminal become `\n`
or `\x1b`. Backslashes that stand before what looks like such an escape are doubled, so that every
name can be read back; any other backslash stays as it is.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cutline.files import printable

__all__ = ["CELL", "LINE", "Escapes", "identity", "json_text", "stored_identity"]


class Escapes:
    """Escapes some characters of a text, so that it can be read back.

    Args:
        odd: whether a character is escaped.
        looks: a regular expression of what follows the backslash in such escapes.
    """

    def __init__(self, odd: Callable[[str], bool], looks: str) -> None:
        self._odd = odd
        self._looks = re.compile(looks)
        self._escaped = re.compile(rf"(\\+)({looks})")

    def escape(self, text: str) -> str:
        """Return text without odd characters."""
        if text.isprintable() and "\\" not in text:
            return text

        def one(found: re.Match[str]) -> str:
            slashes, character = found.groups()
            if self._odd(character):
                return slashes * 2 + character.encode("unicode_escape").decode()
            alike = slashes and self._looks.match(text, found.start(2))
            return (slashes * 2 if alike else slashes) + character

        return re.sub(r"(\\*)([^\\])", one, text)

    def unescape(self, text: str) -> str:
        """Return what `escape` was given."""

        def one(found: re.Match[str]) -> str:
            slashes, look = found.groups()
            half = "\\" * (len(slashes) // 2)
            if len(slashes) % 2 == 0:
                return half + look
            return half + f"\\{look}".encode().decode("unicode_escape")

        return self._escaped.sub(one, text)


def _in_a_cell(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and not character.isspace()


# For a line of text: everything that a terminal would obey, tabs and all line ends.
LINE = Escapes(
    lambda character: printable(character) != character,
    r"[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}",
)
# For a cell of csv, which quotes may hold together: white space of all kinds stays as it is.
CELL = Escapes(_in_a_cell, r"x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2}")


def json_text(content: object) -> str:
    """Return JSON on one line in the letters of all scripts, and nothing that is invisible."""
    text = json.dumps(content, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(
        character if printable(character) == character else json.dumps(character)[1:-1]
        for character in text
    )


def identity(path: Path | str, base: str = "") -> str:
    """Return the absolute path of a picture, however it is spelled: which picture it is.

    Links among its folders are followed; one that is itself a link is a picture of its own.

    Args:
        path: as it was given.
        base: the folder that a relative path starts from; by default the current one.
    """
    folder, name = os.path.split(os.path.join(os.getcwd(), base, path))  # noqa: PTH109, PTH118
    return os.path.join(_real(folder), name)  # noqa: PTH118 - `Path` takes a hundred times as long


def stored_identity(path: Path | str, folder: Path) -> str:
    """Absolute path of a picture that a file in `folder` names.

    A relative path starts from the current folder; where only `folder` has the picture, from there.
    """
    here, there = identity(path), identity(path, str(folder))
    elsewhere = here != there and not os.path.lexists(here) and os.path.lexists(there)
    return there if elsewhere else here


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)
