"""Pictures of a shard, one after the other, each with its name: from files, Parquet or a tar."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from cutline.batch.shards import Shard
from cutline.batch.storage import Storage, ahead, is_address, too_large
from cutline.batch.tables import cells
from cutline.errors import DataError
from cutline.files import printable
from cutline.images import IMAGE_SUFFIXES, MAX_BYTES, Source
from cutline.images.sources import reason

__all__ = ["Picture", "of_cell", "pictures_of"]

AHEAD = 16  # files that are fetched while others are captioned


class Picture(NamedTuple):
    """A picture of a shard.

    Attributes:
        name: what its row calls it: its path or address; of one in a container the container's
            with its own behind it, `train.parquet/17` or `000.tar/0001.jpg`.
        source: what it is read from; None where there is nothing.
        reason: the sentence that says why not.
    """

    name: str
    source: Source | None
    reason: str = ""


def pictures_of(shard: Shard) -> Iterator[Picture]:
    """Yield the pictures of a shard in their order; what cannot be read is one with a reason.

    Only few are in memory at a time.
    """
    storage = Storage(shard.storage)
    if shard.kind == "files":
        return _of_files(shard, storage)
    return _of_parquet(shard, storage) if shard.kind == "parquet" else _of_tar(shard, storage)


def of_cell(value: Any, name: str, storage: Storage, folder: str) -> Picture:
    """Return the picture that a cell of a table holds: bytes, a path or address, or both.

    Args:
        value: of the cell.
        name: of a picture that has none.
        storage: which has the files that paths name.
        folder: from which these are taken.
    """
    path = value if isinstance(value, str) else None
    if isinstance(value, dict):
        path, value = value.get("path"), value.get("bytes")
        if value is not None:
            return Picture(f"{name.rpartition('/')[0]}/{path}" if path else name, value)
    if path is not None:
        return _at_path(path, storage, folder)
    if value is None:
        return Picture(name, None, f"{printable(name)} is empty: there is no picture in the row.")
    return Picture(name, value)


def _at_path(path: str, storage: Storage, folder: str) -> Picture:
    if is_address(path):
        try:
            storage = Storage(path)
        except DataError as error:
            return Picture(path, None, str(error))
        return _fetched(storage, storage.path)
    there = f"{folder}/{path}" if folder and not path.startswith("/") else path
    if not storage.address:
        return Picture(path, Path(there))
    return _fetched(storage, there)


def _fetched(storage: Storage, path: str) -> Picture:
    name = storage.name(path)
    try:
        return Picture(name, storage.read(path))
    except DataError as error:
        return Picture(name, None, str(error))


def _of_files(shard: Shard, storage: Storage) -> Iterator[Picture]:
    if not shard.storage:
        for path in shard.paths:
            yield Picture(path, Path(shard.folder, path))
        return
    for _, picture in ahead(lambda path: _fetched(storage, path), shard.paths, count=AHEAD):
        yield picture


def _of_parquet(shard: Shard, storage: Storage) -> Iterator[Picture]:
    path = shard.paths[0]
    name, done = storage.name(path), 0
    assert shard.rows is not None
    try:
        with storage.open(_local(shard, path)) as stream:
            folder = os.path.dirname(_local(shard, path))  # noqa: PTH120 - may be no local path
            for value in cells(stream, shard.column, shard.groups):
                yield of_cell(value, f"{name}/{shard.start + done}", storage, folder)
                done += 1
    except Exception as error:  # the reader of a broken file raises anything
        said = f"{printable(name)} is damaged or cut short ({reason(error)})."
        for row in range(done, shard.rows):
            yield Picture(f"{name}/{shard.start + row}", None, said)


def _of_tar(shard: Shard, storage: Storage) -> Iterator[Picture]:
    path, count = shard.paths[0], 0
    name = storage.name(path)
    try:
        with (
            closing(storage.open(_local(shard, path))) as stream,
            tarfile.open(fileobj=stream, mode="r|*") as tar,
        ):
            for member in tar:
                if not member.isreg() or Path(member.name).suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                yield _of_member(tar, member, f"{name}/{member.name}")
                count += 1
    except DataError as error:
        yield Picture(name, None, str(error))
    except Exception as error:  # as above
        said = f"is damaged or cut short after {count:,} pictures" if count else "is no tar"
        yield Picture(name, None, f"{printable(name)} {said} ({reason(error)}).")
    else:
        if not count:
            yield Picture(name, None, f"{printable(name)} holds no pictures; give another tar.")


def _of_member(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Picture:
    if member.size > MAX_BYTES:
        return Picture(name, None, too_large(name, member.size))
    stream = tar.extractfile(member)
    assert stream is not None
    return Picture(name, stream.read())


def _local(shard: Shard, path: str) -> str:
    """Return a path as any node finds it."""
    return path if shard.storage else os.path.join(shard.folder, path)  # noqa: PTH118
