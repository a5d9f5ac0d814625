"""Captions in lines of text: tables with or without a header, and `image<TAB>caption`."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cutline.data.readers.columns import IMAGES, RUNNING
from cutline.data.readers.files import counted, is_picture, name_some
from cutline.data.readers.sidecars import HEDGE
from cutline.data.readers.tables import Row, read_table
from cutline.data.results.records import ALLOWED, Found, Record
from cutline.data.results.shapes import read_json
from cutline.errors import DataError
from cutline.results.names import LINE

__all__ = ["parsed", "read_lines", "unhedged"]

_NUMBER = re.compile(r" *\d+(\.0*)? *")
_NUMBERED = re.compile(r"(?P<name>[^\t]+\.\w{3,4})#\d+")


def parsed(text: str) -> Any:
    """Parse JSON; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_lines(text: str, path: Path, columns: Sequence[str]) -> Found:
    """Read a table or lines; `columns` are the names of a text's column, the first preferred."""
    table = read_table(text, (*IMAGES, *RUNNING), columns, str(path))
    if table is not None:
        found = read_json(list(_cells(table.columns, table.rows, path)), path, columns)
    else:
        found = _lines(text, path, columns)
    return Found(path, [_unescaped(record) for record in found.records], found.notes)


def _cells(columns: list[str], rows: Sequence[Row], path: Path) -> Iterator[dict[str, str]]:
    for row in rows:
        if not row.cells:
            raise DataError(
                f"line {row.number} of {path} has too few cells for its first line "
                f"({', '.join(columns)}): '{row.line[:60]}'."
            )
        yield dict(zip(columns, row.cells, strict=True))


def _unescaped(record: Record) -> Record:
    """Add the name that a line holds with escapes."""
    name = LINE.unescape(record.name)
    if name == record.name:
        return record
    return record._replace(names={**record.names, "unescaped": (name,)})


def _lines(text: str, path: Path, columns: Sequence[str]) -> Found:
    """Read `image<TAB>caption`, or two columns of a csv whose first is certainly an image."""
    lines = [(n, line.removesuffix("\r")) for n, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line.strip()]
    without = [(number, line) for number, line in lines if "\t" not in line]
    if lines and not without:
        return _tabbed([line for _, line in lines], path, columns)
    pairs = _pairs([line for _, line in lines])
    if pairs:
        return read_json(pairs, path, columns)
    number, line = without[0] if without else (1, "")
    if len(without) == len(lines):
        raise DataError(
            f"{path} names no images: it begins with '{line[:60]}'; {ALLOWED}, or a folder of "
            "sidecars."
        )
    raise DataError(f"line {number} of {path} is not image<tab>caption: '{line[:60]}'.")


def _tabbed(lines: list[str], path: Path, columns: Sequence[str]) -> Found:
    """Read what `cutline caption` writes as text, Flickr's tokens, and Oscar's tsv with JSON."""
    pairs = [tuple(line.split("\t", 1)) for line in lines]
    if all(_NUMBERED.fullmatch(name) for name, _ in pairs):
        pairs = [(name.rpartition("#")[0], text) for name, text in pairs]
    if all(text.startswith(("[{", '["')) and parsed(text) for _, text in pairs):
        return read_json([[name, json.loads(text)] for name, text in pairs], path, columns)
    hedged = [name for name, text in pairs if text.startswith(HEDGE)]
    found = read_json([[name, text.removeprefix(HEDGE)] for name, text in pairs], path, columns)
    return Found(path, found.records, [*found.notes, *unhedged(hedged, path)])


def _pairs(lines: list[str]) -> list[list[str]]:
    """Return the rows of a csv without a header, if each is certainly an image and a text."""
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error:
        return []
    sure = all(len(row) == 2 and (is_picture(row[0]) or _NUMBER.fullmatch(row[0])) for row in rows)
    return rows if sure else []


def unhedged(images: list[str], path: Path) -> list[str]:
    """Say that the word of doubt before captions is not scored."""
    if not images:
        return []
    count = counted(len(images), "unsure caption")
    return [
        f"{path}: '{HEDGE.strip()}' before {count} is no word of it and is not scored: "
        f"{name_some(images, 3)}."
    ]
