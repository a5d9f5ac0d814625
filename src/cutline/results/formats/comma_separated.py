"""Comma-separated values: RFC 4180 with a heading, but each record ends with a newline only."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from cutline.results.formats.format import Lines, agree
from cutline.results.names import CELL
from cutline.results.rows import Row, StoredRow

__all__ = ["Csv"]

COLUMNS: tuple[str, ...] = ("image", "caption", "confidence", "unsure", "model")
OLDER = ("image", "caption", "confidence", "model")  # as Cutline wrote it before


class Csv(Lines):
    """A heading, and a record a picture; one that is gone on with keeps its columns."""

    name = "csv"
    title: ClassVar[str] = "csv of captions"

    def __init__(self) -> None:
        self.columns = COLUMNS
        self.head = _heading(COLUMNS)

    def record(self, row: Row) -> str:
        """Return a record, quoted where it must be."""
        unsure = row.caption.unsure
        cells = {
            "image": str(row.image),
            "caption": row.caption.text,
            "confidence": f"{row.caption.confidence:.4f}",
            "unsure": "" if unsure is None else str(unsure).lower(),
            "model": row.model,
        }
        return ",".join(_cell(cells[column]) for column in self.columns) + "\n"

    def lines(self, stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """Split a file into records: a newline within quotation marks ends none."""
        record = b""
        for line in stream:
            record += line
            if record.count(b'"') % 2 == 0:
                yield record, record.endswith(b"\n")
                record = b""
        commas = len(self.columns) - 1
        if any(line.count(b",") >= commas for line in record.split(b"\n")[1:-1]):
            raise ValueError("a quotation mark is not closed")
        if record:
            yield record, False

    def parse(self, line: str, *, first: bool) -> StoredRow | None:
        """Read one record, of a file's own columns."""
        try:
            cells = next(csv.reader(io.StringIO(line, newline=""), strict=True), [])
        except csv.Error as error:
            raise ValueError(str(error)) from None
        if first:
            if tuple(cells) not in (COLUMNS, OLDER):
                raise ValueError(f"the columns are {','.join(cells)[:80]}")
            self.columns = tuple(cells)
            return None
        if cells and len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells in {len(self.columns)} columns")
        found = dict(zip(self.columns, cells, strict=False))
        if not found:
            return None
        unsure = {"true": True, "false": False}.get(found.get("unsure", ""))
        return StoredRow(CELL.unescape(found["image"]), CELL.unescape(found["caption"]), unsure)

    def begins(self, start: bytes, images: Iterable[Path]) -> bool:  # noqa: ARG002
        """Compare with our headings."""
        start = start.replace(b"\r\n", b"\n")
        return any(agree(start, _heading(columns).encode()) for columns in (COLUMNS, OLDER))


def _heading(columns: tuple[str, ...]) -> str:
    return ",".join(columns) + "\n"


def _cell(text: str) -> str:
    text = CELL.escape(text)
    plain = text == text.strip() and not set(text) & {",", '"'} and len(text.splitlines()) <= 1
    return text if plain else '"' + text.replace('"', '""') + '"'
