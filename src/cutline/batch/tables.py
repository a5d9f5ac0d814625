"""Parquet files of pictures: a column of bytes, of paths, or of both (the layout of `datasets`)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from cutline.errors import DataError, UsageError, did_you_mean
from cutline.files import printable
from cutline.untrusted import shortened

__all__ = ["Table", "cells", "table_of"]

NAMES = ("image", "img", "jpg", "png", "path", "file_name", "filename", "image_path")  # of columns
BATCH = 16  # rows that are held at a time
BUFFER = 1 << 20


class Table(NamedTuple):
    """A Parquet file's column of pictures, and the rows of its row groups."""

    column: str
    groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        """The rows of the file."""
        return sum(self.groups)


def table_of(stream: Any, name: str, column: str | None) -> Table:
    """Read the footer of a Parquet file, and find its column of pictures.

    Args:
        stream: an open file.
        name: what sentences call it.
        column: the name of the column, where it was said.

    Raises:
        DataError: it is no Parquet file, or has no such column.
        UsageError: there are several columns that could be meant.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        metadata, schema = file.metadata, file.schema_arrow
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} is no Parquet file that can be read ({_said(error)}).") from None
    groups = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    return Table(_column(schema, name, column), groups)


def cells(stream: Any, column: str, groups: tuple[int, int]) -> Iterator[Any]:
    """Yield the values of a column in a range of row groups, few of them in memory at a time."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, buffer_size=BUFFER, pre_buffer=False)
    for batch in file.iter_batches(
        BATCH, row_groups=list(range(*groups)), columns=[column], use_threads=False
    ):
        yield from batch.column(column).to_pylist()


def _column(schema: Any, name: str, given: str | None) -> str:
    fits = {field.name: _may_hold_pictures(field.type) for field in schema}
    if given is not None:
        if given not in fits:
            raise DataError(
                f"{name} has no column {printable(given)}; {printable(did_you_mean(given, fits))}."
            )
        if not fits[given]:
            raise DataError(
                f"The column {printable(given)} of {name} holds {schema.field(given).type}; give "
                "one of bytes, of paths, or of both (bytes, path)."
            )
        return given
    both = [one for one, how in fits.items() if how == "both"]
    data = [one for one, how in fits.items() if how == "bytes"]
    named = [one for one in NAMES if fits.get(one)]
    found = both or [one for one in named if one in data][:1] or data or named[:1]
    if len(found) == 1:
        return str(found[0])
    columns = printable(", ".join(fits))
    if found:
        raise UsageError(
            f"{name} has several columns of pictures ({printable(', '.join(found))}); choose one "
            "with --column."
        )
    raise DataError(
        f"{name} has no column of pictures that is known by its name or type (columns: {columns}); "
        "name one with --column."
    )


def _may_hold_pictures(kind: Any) -> str:
    """Return how a column can hold pictures: `both`, `bytes`, `paths`, or not."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        names = {kind.field(i).name for i in range(kind.num_fields)}
        return "both" if {"bytes", "path"} <= names else ""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "bytes"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "paths"
    return ""


def _said(error: BaseException) -> str:
    return shortened(str(error).partition("\n")[0].rstrip("."))
