"""Shards: the pictures of a run, divided; what is written of one is a file of its own.

The division depends on the pictures and the size of a shard alone, so that a later run finds the
same shards, however many workers it has.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cutline.batch.inputs import Container, Inputs
from cutline.batch.storage import Storage
from cutline.batch.tables import Table, table_of
from cutline.errors import DataError, UsageError
from cutline.files import printable

__all__ = ["Shard", "digest", "plan", "shard_size"]

FEWEST, MOST, PARTS = 100, 10_000, 256
READERS = 8  # threads that read the footers of Parquet files


class Shard(NamedTuple):
    """A part of the pictures of a run.

    Attributes:
        kind: `files`, `parquet` or `tar`.
        storage: the address whose file system has them; empty for local files.
        folder: from which local paths are taken.
        paths: of the pictures, or of the one container.
        size: the container's, in bytes; 0 of files.
        column: of a Parquet file.
        groups: the first row group of a Parquet file, and the one after the last.
        start: the number of the first row.
        rows: how many pictures; None of a tar, which has to be read to know.
    """

    kind: str
    storage: str
    folder: str
    paths: tuple[str, ...]
    size: int = 0
    column: str = ""
    groups: tuple[int, int] = (0, 0)
    start: int = 0
    rows: int | None = None

    def to_json(self) -> str:
        """Return the shard as ASCII, names of any bytes included."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        """Read what `to_json` returned."""
        found = cls(*json.loads(text))
        first, end = found.groups
        return found._replace(paths=tuple(found.paths), groups=(first, end))


def shard_size(pictures: int) -> int:
    """Return the default size of a shard: a 256th of the pictures, at least 100, at most 10,000.

    >>> shard_size(3_000), shard_size(1_000_000), shard_size(10**9)
    (100, 3907, 10000)
    """
    return min(MOST, max(FEWEST, -(-pictures // PARTS)))


def plan(
    inputs: Inputs, *, size: int | None = None, column: str | None = None
) -> tuple[list[Shard], list[str]]:
    """Divide pictures into shards.

    Picture files are divided evenly, Parquet files at their row groups; a tar is a shard, because
    nobody knows what is in it before it is read.

    Args:
        inputs: what was found.
        size: pictures in a shard; by default `shard_size`.
        column: of the pictures in Parquet files, where there are several that could be.

    Returns:
        The shards, and a sentence for each container that cannot be read.
    """
    folder, problems = os.getcwd(), []  # noqa: PTH109
    tables: dict[Container, Table] = {}
    tabular = [one for one in inputs.containers if one.kind == "parquet"]
    with ThreadPoolExecutor(READERS) as pool:
        for one, found in zip(
            tabular, pool.map(lambda one: _table(one, column), tabular), strict=True
        ):
            if isinstance(found, Table):
                tables[one] = found
            else:
                problems.append(found)
    known = sum(map(len, inputs.images.values())) + sum(one.rows for one in tables.values())
    size = size or shard_size(known)
    shards = [
        Shard("files", storage, folder, tuple(part), rows=len(part))
        for storage, paths in inputs.images.items()
        for part in _parts(paths, size)
    ]
    for one in inputs.containers:
        base = Shard(one.kind, one.storage, folder, (one.path,), one.size)
        if one.kind == "tar":
            shards.append(base)
        elif one in tables:
            shards += _of_table(base, tables[one], size)
    return shards, problems


def digest(shards: Sequence[Shard]) -> str:
    """Return a digest of which pictures are in which shard, 24 hex digits."""
    state = hashlib.sha256()
    for shard in shards:
        plain = shard._replace(storage=shard.storage.partition("?")[0])  # whatever its server
        state.update(plain.to_json().encode() + b"\n")
    return state.hexdigest()[:24]


def _parts(paths: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def _table(one: Container, column: str | None) -> Table | str:
    storage = Storage(one.storage)
    try:
        with storage.open(one.path) as stream:
            return table_of(stream, printable(storage.name(one.path)), column)
    except (DataError, UsageError) as error:
        return str(error)


def _of_table(base: Shard, table: Table, size: int) -> Iterator[Shard]:
    """Yield shards of whole row groups, of at least `size` rows but for the last."""
    first = start = rows = 0
    for number, count in enumerate(table.groups):
        rows += count
        if rows >= size or number == len(table.groups) - 1:
            if rows:
                yield base._replace(
                    column=table.column, groups=(first, number + 1), start=start, rows=rows
                )
            first, start, rows = number + 1, start + rows, 0
