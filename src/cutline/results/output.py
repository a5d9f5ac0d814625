"""Results file: grows row by row, and is whole after each of them.

It is begun (or an older one replaced) when the first row is there, in a draft that is renamed.
Each later row is written over the format's end, the end after it, in one go. What fails is cut
back to the last whole row.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cutline.errors import DataError, UsageError
from cutline.files import cannot_write, check_place, printable, written
from cutline.results.formats import Format
from cutline.results.image_ids import image_id
from cutline.results.lock import only_writer
from cutline.results.names import identity, stored_identity
from cutline.results.reading import Content, read_content
from cutline.results.rows import Row, StoredRow

__all__ = ["ResultsFile"]


class ResultsFile:
    """Captions in one file: `open` it, ask what it `has`, `write` rows.

    Attributes:
        rows: how many rows this run has written.
        notes: sentences about what was found in the file.
    """

    def __init__(self, path: Path, form: Format, before: Content | None) -> None:
        self.path = path
        self.form = form
        self.rows = 0
        self.notes: list[str] = []
        self._before = before
        self._stream: IO[bytes] | None = None
        self._end = before.end if before else 0
        self._replaces = path.exists()
        self._known: set[str] = set()
        self._ids: set[str] = set()

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, form: Format, images: list[Path], *, resume: bool, force: bool
    ) -> Iterator["ResultsFile"]:
        """Open a file for the captions of `images`; nothing is written before there is a row.

        Args:
            path: of the file.
            form: in which format; an object of its own.
            images: the pictures of the run.
            resume: go on with a file that is there.
            force: replace a file that is there.

        Raises:
            UsageError: it cannot or may not be written, or another process writes it.
            DataError: it cannot be gone on with.
        """
        check_place(path)
        with only_writer(path):
            if path.exists() and not (resume or force):
                raise UsageError(
                    f"{printable(path)} exists and is not overwritten; add --resume to go on with "
                    "it, --force to replace it, or give another name."
                )
            going_on = resume and path.exists() and path.stat().st_size > 0
            file = cls(path, form, read_content(path, form, images) if going_on else None)
            file._know(images)
            with file._closing():
                yield file

    def has(self, image: Path) -> bool:
        """Say whether a run before this one wrote `image`."""
        return identity(image) in self._known or (
            bool(self._ids) and str(image_id(image)) in self._ids
        )

    def write(self, row: Row) -> None:
        """Write one row, at once.

        Raises:
            UsageError: it cannot be written; the file is whole, without it.
            DataError: the file was deleted or changed by somebody else.
        """
        data = self.form.record(row).encode("utf-8", "backslashreplace")
        tail = self.form.tail.encode()
        if self._stream is None and not (self._before and self._before.rows):
            self._begin(self.form.head.encode() + data, tail)
        else:
            stream = self._opened()
            self._check_untouched(stream)
            between = self.form.between.encode()
            self._put(stream, between + data, tail)
        self.rows += 1

    def _begin(self, start: bytes, tail: bytes) -> None:
        with written(self.path, overwrite=self._replaces) as draft:
            draft.write_bytes(start + tail)
        self._end = len(start)
        try:
            self._stream = self.path.open("r+b", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _opened(self) -> IO[bytes]:
        """Return the open file; an older one is first cut back to its last whole row."""
        if self._stream is None:
            try:
                self._stream = self.path.open("r+b", buffering=0)
                self._put(self._stream, b"", self.form.tail.encode())
            except OSError as error:
                raise cannot_write(self.path, error) from error
        return self._stream

    def _put(self, stream: IO[bytes], data: bytes, tail: bytes) -> None:
        """Write at the end of the last record; whatever stops it, the file is whole."""
        try:
            _write_at(stream, self._end, data + tail)
            stream.truncate(self._end + len(data) + len(tail))
        except BaseException as error:
            with suppress(OSError):  # what it takes was there before
                _write_at(stream, self._end, tail)
                stream.truncate(self._end + len(tail))
            if isinstance(error, OSError):
                raise cannot_write(self.path, error) from error
            raise
        self._end += len(data)

    def _check_untouched(self, stream: IO[bytes]) -> None:
        ours = os.fstat(stream.fileno())
        try:
            there = self.path.stat()
        except OSError:
            raise DataError(
                f"{printable(self.path)} was deleted while captions were written to it; "
                f"{self.rows:,} of this run are lost. Caption again."
            ) from None
        if not os.path.samestat(ours, there):
            raise DataError(
                f"{printable(self.path)} was replaced by another program while captions were "
                f"written to it; {self.rows:,} of this run are lost. Caption again."
            )
        if ours.st_size != self._end + len(self.form.tail.encode()):
            raise DataError(
                f"{printable(self.path)} was changed by another program while captions were "
                "written to it. Look at it before you go on."
            )

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
            if self._before and self._before.rows and not self._before.whole:
                self._opened()  # mended, though there was no row to add
            if self._stream is not None:
                self._check_untouched(self._stream)
        finally:
            if self._stream is not None:
                with suppress(OSError):
                    self._stream.close()

    def _know(self, images: list[Path]) -> None:
        """Learn which pictures the rows are of."""
        base = self.path.resolve().parent
        before = [_absolute(row, base) for row in self._before.rows] if self._before else []
        self._known = {row.image for row in before if row.image is not None}
        self._ids = {str(row.image_id) for row in before if row.image is None}
        if before and self._before and not self._before.whole:
            self.notes.append(
                f"The end of {printable(self.path)} is not whole; it is cut back to its last "
                "whole row."
            )
        self.notes += self.form.prepare(images, before)


def _absolute(row: StoredRow, base: Path) -> StoredRow:
    """Make the path of a stored row absolute."""
    if row.image is None:
        return row
    return row._replace(image=stored_identity(row.image, base))


def _write_at(stream: IO[bytes], offset: int, data: bytes) -> None:
    stream.seek(offset)
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
