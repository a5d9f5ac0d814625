"""Features of a frozen encoder, computed once and kept in a memory-mapped file.

A cache is a folder named by a key of everything that changes the features: the encoder's
description and weights, and each picture's name, size and date. In it:

    features.npy     half precision, (images, R, D), filled from the front
    progress.json    how many rows are filled; written after the rows have reached the disk
    index.json       written last, so its existence means the cache is whole
    lock             held by the run that fills it; others wait, and read what it computed

A run killed on the way goes on from `progress.json`.

Shapes: `B` images, `S` the side of the encoder's input, `R` regions, `D` feature size.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cutline.data.examples import Photograph, Picture
from cutline.errors import ImageError
from cutline.files import cache_folder

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
    """
    home = folder / "features" / _digest({**key, "pictures": [_identity(p) for p in pictures]})
    shown = 0
    if not _whole(home):
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home, progress) as shown:
            if not _whole(home):
                failed = _fill(home, pictures, shape, square, encode, progress, shown)
                content = {"key": dict(key), "shape": (len(pictures), *shape), "failed": failed}
                _write(home / INDEX, content)
                (home / LOG).unlink(missing_ok=True)
                return _read(home)
    progress(len(pictures) - shown)
    return _read(home)


@contextmanager
def _alone(home: Path, progress: Callable[[int], None]) -> Iterator[int]:
    """Wait until no other run fills the cache, and show its progress; give the rows shown."""
    lock, shown = FileLock(home / "lock"), 0
    while True:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            rows, _ = _filled(home)
            progress(rows - shown)
            shown = rows
        else:
            break
    try:
        yield shown
    finally:
        lock.release()


def _whole(home: Path) -> bool:
    return (home / INDEX).is_file() and (home / TABLE).is_file()


def _filled(home: Path) -> tuple[int, dict[str, str]]:
    """Return how many rows are filled, and which of them failed."""
    try:
        state = json.loads((home / LOG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0, {}
    return (state["rows"], state["failed"]) if (home / TABLE).is_file() else (0, {})


def _read(home: Path) -> FeatureTable:
    failed = json.loads((home / INDEX).read_text(encoding="utf-8"))["failed"]
    reasons = {int(row): reason for row, reason in failed.items()}
    return FeatureTable(np.load(home / TABLE, mmap_mode="r"), reasons)


def _fill(
    home: Path,
    pictures: Sequence[Picture],
    shape: tuple[int, int],
    square: Callable[[Picture], Bytes],
    encode: Callable[[Bytes], NDArray[np.floating[Any]]],
    progress: Callable[[int], None],
    shown: int,
) -> dict[str, str]:
    """Compute the rows that are not there yet; return which failed, and why."""
    table, log = home / TABLE, home / LOG
    (home / INDEX).unlink(missing_ok=True)
    done, failed = _filled(home)
    mode: Any = "r+" if done else "w+"
    memory = np.lib.format.open_memmap(table, mode, np.float16, (len(pictures), *shape))
    progress(done - shown)
    for start in range(done, len(pictures), BATCH):
        rows = range(start, min(start + BATCH, len(pictures)))
        squares, read = [], []
        for row in rows:
            try:
                squares.append(square(pictures[row]))
                read.append(row)
            except ImageError as error:
                failed[str(row)] = str(error)
        if read:
            memory[read] = encode(np.stack(squares))
        progress(len(rows))
        if start // BATCH % 8 == 7:
            memory.flush()
            _write(log, {"rows": rows[-1] + 1, "failed": failed})
    memory.flush()
    return failed


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _identity(picture: Picture) -> list[Any]:
    """Return what changes when the picture does."""
    if isinstance(picture, Photograph) and picture.path.exists():
        facts = picture.path.stat()
        return [str(picture.path.resolve()), facts.st_size, facts.st_mtime_ns]
    return [repr(picture)]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)
