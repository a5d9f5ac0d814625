"""Features of a frozen encoder, computed once and kept in a memory-mapped file.

A cache is a folder named by a key of everything that changes the features: the encoder's
description and weights, and each picture's name, size and date. In it:

    features.npy     half precision, (images, R, D), filled from the front
    progress.json    how many rows are filled; written after the rows have reached the disk
    index.json       written last, so its existence means the cache was whole; with a checksum of
                     each batch of rows
    lock             held by the run that fills it; others wait, and read what it computed

A run killed on the way goes on from `progress.json`, and so does one that found the disk full.
Rows that have changed since they were written are computed again.
Rows are written to the file, not to memory mapped to it: a full disk is an error, not a bus error.

Shapes: `B` images, `S` the side of the encoder's input, `R` regions, `D` feature size.
"""

import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cutline.data.examples import Photograph, Picture
from cutline.data.readers.shards.pictures import ShardPicture
from cutline.errors import UsageError
from cutline.files import cache_folder, printable, write_text
from cutline.images.unreadable import Unreadable, attempt

__all__ = ["FeatureTable", "cache_folder", "cached_features"]

Bytes = NDArray[np.uint8]
Halves = NDArray[np.float16]
BATCH = 32
TABLE, LOG, INDEX = "features.npy", "progress.json", "index.json"


@dataclass(frozen=True)
class FeatureTable:
    """`features` (images, R, D) in half precision; `failed` names rows that could not be read."""

    features: Halves
    failed: dict[int, str]


def cached_features(
    pictures: Sequence[Picture],
    *,
    folder: Path,
    key: Mapping[str, Any],
    shape: tuple[int, int],
    square: Callable[[Picture], Bytes],
    encode: Callable[[Bytes], NDArray[np.floating[Any]]],
    progress: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Return the features of `pictures`, from the cache as far as it goes.

    Args:
        pictures: what to encode.
        folder: where caches live.
        key: whatever describes the encoder completely, its weights included (JSON-able).
        shape: `(R, D)`.
        square: a picture as (S, S, 3) bytes; an `ImageError` marks the row as failed.
        encode: features (B, R, D) of squares (B, S, S, 3).
        progress: called with the number of rows that are done.

    Raises:
        UsageError: the cache's folder is read-only, a file, or on a full disk.
    """
    home = folder / "features" / _digest({**key, "pictures": [_identity(p) for p in pictures]})
    layout, shown = _Layout(len(pictures), *shape), 0
    with _refusing(folder):
        table = _table(home, layout)
        if table is None:
            home.mkdir(parents=True, exist_ok=True)
            with _alone(home, progress) as done:
                table, shown = _table(home, layout), done
                if table is None:
                    state = _fill(home, pictures, layout, square, encode, progress, done)
                    table = _finish(home, state, {"key": dict(key), "shape": layout.whole})
                    shown = len(pictures)
        progress(len(pictures) - shown)
    return table


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Say in a sentence that the cache's folder cannot be written or read."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The feature cache {printable(folder)} cannot be used ({error.strerror or error}); "
            "make room, or give another folder with data.cache=FOLDER."
        ) from error


@contextmanager
def _alone(home: Path, progress: Callable[[int], None]) -> Iterator[int]:
    """Wait until no other run fills the cache, and show its progress; give the rows shown."""
    lock, shown = FileLock(home / "lock"), 0
    while True:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            rows = _filled(home).rows
            progress(rows - shown)
            shown = rows
        else:
            break
    try:
        yield shown
    finally:
        lock.release()


class _Layout:
    """Layout of a table in its file: NumPy's header, then rows of numbers in half precision."""

    def __init__(self, rows: int, regions: int, size: int) -> None:
        self.whole = (rows, regions, size)
        self.row = 2 * regions * size
        header = io.BytesIO()
        kind = {"descr": "<f2", "fortran_order": False, "shape": self.whole}
        np.lib.format.write_array_header_1_0(header, kind)
        self.header = header.getvalue()

    def end(self, rows: int) -> int:
        """Return where so many rows end, in bytes."""
        return len(self.header) + rows * self.row


def _table(home: Path, layout: _Layout) -> FeatureTable | None:
    """Read a cache that is whole; None when it is not."""
    try:
        content = json.loads((home / INDEX).read_text(encoding="utf-8"))
        failed = {int(row): str(reason) for row, reason in content["failed"].items()}
        features = np.load(home / TABLE, mmap_mode="r")
        sums = content.get("checksums")  # of an older version: none
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, EOFError):
        return None
    whole = features.shape == layout.whole and features.dtype == np.float16
    if whole and sums is not None:
        starts = range(0, len(features), BATCH)
        whole = [zlib.crc32(features[start : start + BATCH].data) for start in starts] == sums
    return FeatureTable(features, failed) if whole else None


class _State(NamedTuple):
    """Rows that are filled, those that failed and why, and a checksum of each batch of rows."""

    rows: int
    failed: dict[str, str]
    checksums: list[int]


def _filled(home: Path, layout: _Layout | None = None) -> _State:
    """Return what is filled; with `layout`, only what is as it was written."""
    nothing = _State(0, {}, [])
    try:
        state = _State(**json.loads((home / LOG).read_text(encoding="utf-8")))
        if layout is None or not state.rows:
            return state
        with (home / TABLE).open("rb") as file:
            if file.read(len(layout.header)) != layout.header:
                return nothing
            if file.seek(0, os.SEEK_END) < layout.end(state.rows):
                return nothing
            file.seek(layout.end(0))
            for checksum in state.checksums:
                if zlib.crc32(file.read(BATCH * layout.row)) != checksum:
                    return nothing
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return nothing
    return state if state.rows == BATCH * len(state.checksums) else nothing


def _fill(
    home: Path,
    pictures: Sequence[Picture],
    layout: _Layout,
    square: Callable[[Picture], Bytes],
    encode: Callable[[Bytes], NDArray[np.floating[Any]]],
    progress: Callable[[int], None],
    shown: int,
) -> _State:
    """Compute the rows that are not there yet."""
    (home / INDEX).unlink(missing_ok=True)
    done, failed, checksums = _filled(home, layout)
    progress(done - shown)
    try:
        with (home / TABLE).open("r+b" if done else "wb") as file:
            if not done:
                file.write(layout.header)
            file.truncate(layout.end(done))
            file.seek(layout.end(done))
            for start in range(done, len(pictures), BATCH):
                rows = range(start, min(start + BATCH, len(pictures)))
                found = _features([pictures[row] for row in rows], layout, square, encode)
                failed |= {str(start + at): reason for at, reason in found.failed.items()}
                checksums.append(zlib.crc32(found.features.data))
                file.write(found.features.tobytes())
                progress(len(rows))
                if start // BATCH % 8 == 7 and len(rows) == BATCH:
                    _sync(file)
                    _write(home / LOG, _State(rows[-1] + 1, failed, checksums)._asdict())
            _sync(file)
    except OSError:
        _cut_back(home, layout)
        raise
    return _State(len(pictures), failed, checksums)


def _cut_back(home: Path, layout: _Layout) -> None:
    """Keep of a table that could not be written only the rows to go on from."""
    with suppress(OSError):
        done = _filled(home, layout).rows
        if done:
            os.truncate(home / TABLE, layout.end(done))
        else:
            (home / TABLE).unlink(missing_ok=True)


def _finish(home: Path, state: _State, facts: Mapping[str, Any]) -> FeatureTable:
    """Write the index, by which a cache is whole; read it."""
    _write(home / INDEX, {**facts, "failed": state.failed, "checksums": state.checksums})
    (home / LOG).unlink(missing_ok=True)
    reasons = {int(row): reason for row, reason in state.failed.items()}
    return FeatureTable(np.load(home / TABLE, mmap_mode="r"), reasons)


def _features(
    pictures: Sequence[Picture],
    layout: _Layout,
    square: Callable[[Picture], Bytes],
    encode: Callable[[Bytes], NDArray[np.floating[Any]]],
) -> FeatureTable:
    """Encode one batch; the rows of pictures that cannot be read are zeros."""
    table = np.zeros((len(pictures), *layout.whole[1:]), np.float16)
    squares: dict[int, Bytes] = {}
    failed: dict[int, str] = {}
    for at, picture in enumerate(pictures):
        read = attempt(square, picture, name=picture.name)
        if isinstance(read, Unreadable):
            failed[at] = read.reason
        else:
            squares[at] = read
    if squares:
        table[list(squares)] = encode(np.stack(list(squares.values())))
    return FeatureTable(table, failed)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _identity(picture: Picture) -> list[Any]:
    """Return what changes when the picture does."""
    if isinstance(picture, Photograph) and picture.path.exists():
        facts = picture.path.stat()
        return [str(picture.path.resolve()), facts.st_size, facts.st_mtime_ns]
    if isinstance(picture, ShardPicture):
        return picture.identity
    return [repr(picture)]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content))
