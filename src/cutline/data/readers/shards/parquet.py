"""Parquet shards: a column of pictures, one of captions, found by their names and types.

Pictures are what Hugging Face's datasets write, a struct of `bytes` and `path`, or plain bytes, or
paths from the shard's folder. Captions are text or a list of texts. Row groups are the unit that is
read and decoded; the last ones are kept in memory, up to `HELD` bytes of them in each process.
"""

import importlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cutline.data.readers.columns import CAPTIONS, IMAGES, PICTURES, RUNNING, plain
from cutline.data.readers.shards.sample import LARGEST_NAME, MEGABYTE, Findings, Sample
from cutline.errors import DataError, ImageError, MissingDependencyError

__all__ = ["HELD", "cell", "pyarrow", "samples"]

HELD = 256 * MEGABYTE
LARGEST_GROUP = 2_000 * MEGABYTE
ROWS = 1024  # that are read at a time

_SPLIT = "split"
_BYTES = (*PICTURES, "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "picture")


class Columns(NamedTuple):
    """Names of the columns that are read; `path` is the field of the pictures' own paths."""

    picture: str
    path: str | None
    captions: str
    name: str | None
    split: str | None

    def __str__(self) -> str:
        said = [f"pictures '{self.picture}'", f"captions '{self.captions}'"]
        said += [f"names '{self.name or self.path}'"] if self.name or self.path else []
        said += [f"splits '{self.split}'"] if self.split else []
        return ", ".join(said)


def samples(path: Path, found: Findings) -> Iterator[Sample]:
    """Yield the images of one file in their order; its damage is told to `found`.

    Raises:
        DataError: it has no column of pictures or of captions.
        MissingDependencyError: pyarrow is not installed.
    """
    arrow = pyarrow()
    done = 0
    try:
        with _opened(path) as file:
            columns = _columns(file.schema_arrow, path)
            found.picture, found.columns = columns.picture, str(columns)
            wanted = [columns.captions, *filter(None, [columns.name, columns.split])]
            wanted += [columns.path] if columns.path else []
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).total_byte_size
                found.group_bytes.append(size)
                batches = file.iter_batches(ROWS, [group], wanted, use_threads=False)
                place = 0
                for batch in batches:
                    for row in _rows(batch, columns):
                        yield _sample(row, place, group, f"{path.stem}/{done}")
                        place, done = place + 1, done + 1
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).split("\n")[0].rstrip(".")
        found.damage = f"{path} is no Parquet file, or damaged or cut short ({said})"
        if done:
            found.damage += f"; the {done:,} rows before are used"


def cell(path: Path, column: str, group: int, place: int) -> Any:
    """Return one picture's cell: bytes, a path, or a dict of both.

    Raises:
        ImageError: the file cannot be read, or its row group is absurdly large.
    """
    values = _GROUPS.get(path, column, group)
    if place >= len(values):
        raise ImageError(f"{path} has changed since it was indexed; start again to index it anew.")
    return values[place].as_py()


class _Groups:
    """The pictures' column of row groups that were read last."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[Path, str, int], Any] = OrderedDict()
        self.bytes = 0

    def get(self, path: Path, column: str, group: int) -> Any:
        key = (path, column, group)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        values = self._read(path, column, group)
        self.bytes += values.nbytes
        self.kept[key] = values
        while self.bytes > HELD and len(self.kept) > 1:
            _, old = self.kept.popitem(last=False)
            self.bytes -= old.nbytes
        return values

    def _read(self, path: Path, column: str, group: int) -> Any:
        arrow = pyarrow()
        try:
            with _opened(path) as file:
                size = file.metadata.row_group(group).total_byte_size
                if not 0 <= size <= LARGEST_GROUP:
                    raise ImageError(
                        f"row group {group} of {path} has {size / MEGABYTE:,.0f} MB, more than the "
                        f"{LARGEST_GROUP / MEGABYTE:,.0f} allowed; write smaller row groups."
                    )
                return file.read_row_group(group, [column], use_threads=False).column(0)
        except (arrow.ArrowException, OSError, ValueError) as error:
            said = str(error).split("\n")[0].rstrip(".")
            raise ImageError(f"row group {group} of {path} cannot be read ({said}).") from error


_GROUPS = _Groups()


def _sample(row: dict[str, Any], place: int, group: int, number: str) -> Sample:
    said = row["captions"]
    captions = [one for one in (said if isinstance(said, list) else [said]) if one]
    name = next((str(one) for one in (row["name"], row["path"]) if one not in (None, "")), number)
    name = name if len(name) <= LARGEST_NAME else number
    return Sample(name, place, group, captions, row["split"])


def _rows(batch: Any, columns: Columns) -> Iterator[dict[str, Any]]:
    table = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    nothing = [None] * batch.num_rows
    paths = nothing
    if columns.path:
        head, _, field = columns.path.partition(".")
        paths = [one and one[field] if field else one for one in table[head]]
    names = table[columns.name] if columns.name else nothing
    splits = table[columns.split] if columns.split else nothing
    rows = zip(table[columns.captions], names, paths, splits, strict=True)
    for captions, name, path, split in rows:
        yield {"captions": captions, "name": name, "path": path, "split": split}


def _columns(schema: Any, path: Path) -> Columns:
    types = pyarrow().types
    fields = {name: schema.field(name).type for name in schema.names}
    text = [name for name, kind in fields.items() if _is_text(kind)]
    structs = {
        name: {kind.field(at).name for at in range(kind.num_fields)}
        for name, kind in fields.items()
        if types.is_struct(kind)
    }
    raw = [name for name, kind in fields.items() if types.is_binary(kind)]
    raw += [name for name, kind in fields.items() if types.is_large_binary(kind)]
    picture = (
        _named([name for name, inside in structs.items() if "bytes" in inside], _BYTES)
        or _named(raw, _BYTES)
        or _named(text, PICTURES)
    )
    listed = [
        name
        for name, kind in fields.items()
        if (types.is_list(kind) or types.is_large_list(kind)) and _is_text(kind.value_type)
    ]
    captions = _named([one for one in [*text, *listed] if one != picture], CAPTIONS)
    if picture is None or captions is None:
        lacking = (
            "pictures (bytes and path, bytes, or paths; such as 'image')"
            if picture is None
            else "captions (text or a list of texts; such as 'caption')"
        )
        given = ", ".join(f"{name} ({kind})" for name, kind in fields.items())
        raise DataError(f"{path} has no column of {lacking}; it has {given[:300]}.")
    ids = [*text, *(name for name, kind in fields.items() if types.is_integer(kind))]
    return Columns(
        picture,
        f"{picture}.path" if "path" in structs.get(picture, ()) else picture * (picture in text),
        captions,
        _named([one for one in ids if one not in (picture, captions)], (*IMAGES, *RUNNING)),
        _named([one for one in text if one != captions], (_SPLIT,)),
    )


def _is_text(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _named(given: list[str], wanted: tuple[str, ...]) -> str | None:
    """Return the column that has the first of the wanted names."""
    by_name = {plain(name): name for name in reversed(given)}
    return next((by_name[name] for name in wanted if name in by_name), None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file for reading, without memory of its own for what it claims to hold."""
    pyarrow()
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        yield file


def pyarrow() -> Any:
    """Return the module pyarrow, or raise the error that says how to install it."""
    try:
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise MissingDependencyError("Reading and writing Parquet", extra="parquet") from None
