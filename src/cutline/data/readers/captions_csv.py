"""`captions.txt` as on Kaggle: a header `image,caption`, then one line per caption.

A caption may hold commas and quotation marks, whether or not it is quoted as CSV asks, and a
quoted one may run over several lines. The images are in `Images/` or `images/` beside it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble
from cutline.data.readers.files import ImageFolders, read_text
from cutline.errors import DataError

KIND = "image,caption CSV"
FILES = "captions.txt"

_MOST_LINES = 20  # of one quoted caption
HEADER = re.compile(r'\s*"?image"?\s*,\s*"?caption"?\s*', re.IGNORECASE)
_NEW_ROW = re.compile(r'\s*"?[^",]+\.[A-Za-z]{3,4}"?\s*,')
_ROW = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[^,]*?))\s*,(?P<caption>.*)', re.DOTALL)
_QUOTED = re.compile(r'\s*"(?P<text>(?:[^"]|"")*)"\s*', re.DOTALL)


def find(path: Path) -> list[Path]:
    """Return the path itself if it is the file, or the file in the folder."""
    file = path / FILES if path.is_dir() else path
    return [file] if file.name == FILES and file.is_file() else []


def read(path: Path) -> Dataset:
    """Read the captions; images are held out, as the format has no splits."""
    captions: dict[str, list[str]] = {}
    for name, caption in _rows(path):
        captions.setdefault(name, []).append(caption)
    folders = ImageFolders(path.parent)
    entries = [Entry(name, folders.find(name), said, None) for name, said in captions.items()]
    return assemble(entries, kind=KIND, source=path, notes=folders.notes())


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    lines = re.split(r"\r\n|\r|\n", read_text(path))
    if not HEADER.fullmatch(lines[0]):
        raise DataError(f"line 1 of {path} is '{lines[0][:60]}'; put 'image,caption' there.")
    number = 1
    while number < len(lines):
        line, taken = _whole_row(lines, number)
        match = _ROW.fullmatch(line)
        if match is None and line.strip():
            raise DataError(f"line {number + 1} of {path} is not 'image,caption': '{line[:60]}'.")
        if match is not None:
            yield (match["quoted"] or match["plain"]).strip(), _unquoted(match["caption"])
        number += taken


def _whole_row(lines: list[str], start: int) -> tuple[str, int]:
    """Return a row and how many lines it takes: several only when it is quoted CSV for certain.

    A caption may begin with a quotation mark that nobody closes; it must not swallow the rows
    that follow, as it would with Python's csv.
    """
    line = lines[start]
    match = _ROW.fullmatch(line)
    if match is None or not match["caption"].lstrip().startswith('"') or _is_quoted(line):
        return line, 1
    whole = line
    for end in range(start + 1, min(start + _MOST_LINES, len(lines))):
        if _NEW_ROW.match(lines[end]):
            break
        whole += "\n" + lines[end]
        if _is_quoted(whole):
            return whole, end + 1 - start
    return line, 1


def _is_quoted(line: str) -> bool:
    match = _ROW.fullmatch(line)
    return match is not None and _QUOTED.fullmatch(match["caption"]) is not None


def _unquoted(caption: str) -> str:
    match = _QUOTED.fullmatch(caption)
    return match["text"].replace('""', '"') if match else caption
