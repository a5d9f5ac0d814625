"""Base class of the result formats.

A file is `head`, records with `between` between them, and `tail`. One that ends too early (a full
disk, a kill) can be cut back to the end of its last whole record.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

from cutline.results.rows import Row, StoredRow

__all__ = ["Format", "Lines", "Record", "agree", "stored"]


class Record(NamedTuple):
    """A row that was read back, and the offset in bytes of its end."""

    row: StoredRow
    end: int


class Format(ABC):
    """One way to write captions to a file; an object is for one file."""

    name: ClassVar[str]
    title: ClassVar[str]  # in sentences
    head: str = ""
    between: ClassVar[str] = ""
    tail: ClassVar[str] = ""

    def prepare(self, images: list[Path], before: Iterable[StoredRow]) -> list[str]:  # noqa: ARG002
        """Get to know the pictures of a run and the rows of an earlier one; return notes on them.

        The rows before have absolute paths.
        """
        return []

    @abstractmethod
    def record(self, row: Row) -> str:
        """Return what a file holds of a picture."""

    def shown(self, row: Row, *, single: bool) -> str:  # noqa: ARG002
        """Return what standard output shows of a picture; `single`: only one was asked for."""
        return self.record(row)

    @abstractmethod
    def records(self, stream: BinaryIO) -> Iterator[Record]:
        """Read the records of a file, and stop before a last one that is not whole.

        Raises:
            ValueError: a record is none of this format.
        """

    @abstractmethod
    def begins(self, start: bytes, images: Iterable[Path]) -> bool:
        """Say whether a file without a whole record, of `images`, may have begun like this."""


class Lines(Format):
    """A record ends with a newline."""

    def records(self, stream: BinaryIO) -> Iterator[Record]:
        """Read a record at a time."""
        end = 0
        for number, (line, whole) in enumerate(self.lines(stream), start=1):
            if not whole:
                return
            start, end = end, end + len(line)
            try:
                text = line.decode("utf-8-sig" if start == 0 else "utf-8").rstrip("\r\n")
                row = self.parse(text, first=start == 0)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from None
            if row is not None:
                yield Record(row, end)

    def lines(self, stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        r"""Split a file into records, each with whether it is whole; at `\n` and nothing else."""
        for line in stream:
            yield line, line.endswith(b"\n")

    @abstractmethod
    def parse(self, line: str, *, first: bool) -> StoredRow | None:
        """Read one record; None where it is none (a heading, an empty line)."""


def agree(start: bytes, wanted: bytes) -> bool:
    """Say whether one is the beginning of the other."""
    return start.startswith(wanted) or wanted.startswith(start)


def stored(entry: Any, known: str) -> StoredRow:
    """Read an object of JSON; `known` is the key of what names its picture."""
    name = entry.get(known) if isinstance(entry, dict) else None
    named = isinstance(name, str) or (known == "image_id" and isinstance(name, int))
    if not (named and isinstance(entry.get("caption"), str)):
        raise ValueError(f"no object with '{known}' and 'caption'")
    image, unsure = entry.get("image"), entry.get("unsure")
    return StoredRow(
        image if isinstance(image, str) else None,
        entry["caption"],
        unsure if isinstance(unsure, bool) else None,
        name if known == "image_id" else None,
    )
