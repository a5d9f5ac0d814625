"""Tables of images and captions as text: commas, tabs, semicolons or bars between the cells.

A caption in the last column may hold the separator and quotation marks, whether or not it is
quoted as CSV asks, and a quoted one may run over several lines. Only line feeds end a line.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cutline.data.readers.columns import column, plain
from cutline.errors import DataError

__all__ = ["Row", "Table", "read_table"]

_SEPARATORS = "\t,;|"
_MOST_LINES = 20  # of one quoted caption
_NEW_ROW = re.compile(r'\s*"?[^",;|\t]+\.[A-Za-z]{3,4}"?\s*[,;|\t]')
_QUOTED = re.compile(r'\s*"(?P<text>(?:[^"]|"")*)"\s*', re.DOTALL)


class Row(NamedTuple):
    """A row's place and cells; `cells` is empty where the line could not be taken apart."""

    number: int
    cells: list[str]
    line: str = ""


class Table(NamedTuple):
    """A table with a header; `image` and `text` are the places of these two columns."""

    columns: list[str]
    image: int
    text: int
    rows: list[Row]


def read_table(text: str, images: Sequence[str], texts: Sequence[str], where: str) -> Table | None:
    """Read a table whose first line names a column of `images` and one of `texts`, else None."""
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    for separator in _SEPARATORS:
        cells = next(csv.reader([first], delimiter=separator), [])
        columns = [plain(cell) for cell in cells]
        image, caption = column(columns, images), column(columns, texts)
        if image and caption and image != caption:
            places = columns.index(image), columns.index(caption)
            if places[1] == len(columns) - 1:
                rows = list(_loose_rows(text, separator, len(columns)))
            else:
                rows = list(_strict_rows(text, separator, len(columns), where))
            return Table(columns, *places, rows)
    return None


def _strict_rows(text: str, separator: str, width: int, where: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        next(reader)
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if cells and len(cells) != width:
                raise DataError(
                    f"line {number} of {where} has {len(cells)} cells, but its first line {width}; "
                    "put a caption that holds the separator into quotation marks."
                )
            if cells:
                yield Row(number, cells)
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} of {where} is not CSV: {error}.") from error


def _loose_rows(text: str, separator: str, width: int) -> Iterator[Row]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if len(lines) == 1:  # the line ends of an old Mac
        lines = text.split("\r")
    row = _pattern(separator, width)
    number = 1
    while number < len(lines):
        line, taken = _whole_row(lines, number, row)
        match = row.fullmatch(line)
        if match is not None:
            *before, caption = match.groups()
            cells = [_unquoted(cell).strip() for cell in before]
            yield Row(number + 1, [*cells, _unquoted(caption)], line)
        elif line.strip():
            yield Row(number + 1, [], line)
        number += taken


def _pattern(separator: str, width: int) -> re.Pattern[str]:
    cell = rf'((?: *"(?:[^"]|"")*" *)|[^{re.escape(separator)}]*){re.escape(separator)}'
    return re.compile(cell * (width - 1) + "(.*)", re.DOTALL)


def _whole_row(lines: list[str], start: int, row: re.Pattern[str]) -> tuple[str, int]:
    """Return a row and how many lines it takes: several only when it is quoted CSV for certain.

    A caption may begin with a quotation mark that nobody closes; it must not swallow the rows
    that follow, as it would with Python's csv.
    """
    line = lines[start]
    match = row.fullmatch(line)
    if match is None or not match.groups()[-1].lstrip().startswith('"') or _is_quoted(line, row):
        return line, 1
    whole = line
    for end in range(start + 1, min(start + _MOST_LINES, len(lines))):
        if _NEW_ROW.match(lines[end]):
            break
        whole += "\n" + lines[end]
        if _is_quoted(whole, row):
            return whole, end + 1 - start
    return line, 1


def _is_quoted(line: str, row: re.Pattern[str]) -> bool:
    match = row.fullmatch(line)
    return match is not None and _QUOTED.fullmatch(match.groups()[-1]) is not None


def _unquoted(cell: str) -> str:
    match = _QUOTED.fullmatch(cell)
    return match["text"].replace('""', '"') if match else cell
