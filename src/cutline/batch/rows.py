"""Rows of a shard: a picture's caption, or the reason why it has none; as Parquet or JSON lines."""

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cutline.errors import UsageError, did_you_mean
from cutline.results import Row
from cutline.results.names import LINE, json_text

if TYPE_CHECKING:
    import pyarrow as pa

    from cutline.captioner import Caption

__all__ = ["SUFFIXES", "captioned", "check_form", "columns", "encoded", "failed", "table"]

Fields = dict[str, Any]

SUFFIXES = {"parquet": "parquet", "jsonl": "jsonl"}  # by format


def captioned(name: str, caption: "Caption", model: str) -> Fields:
    """Return a row of a caption: the fields of `--format jsonl`."""
    from pathlib import Path

    return {**Row(Path(), caption, model).to_dict(), "image": name}


def failed(name: str, reason: str) -> Fields:
    """Return a row of a picture without a caption, as in failed.jsonl."""
    return {"image": name, "reason": reason}


def encoded(rows: Iterable[Fields], form: str) -> bytes:
    """Return a shard's file: Parquet, or JSON lines."""
    return _ENCODERS[form](rows)


def check_form(form: str) -> None:
    """Refuse a format that shards are not written in."""
    if form not in SUFFIXES:
        raise UsageError(f"There are no shards of '{form}'; {did_you_mean(form, SUFFIXES)}.")


def columns() -> "pa.Schema":
    """Return the columns of a Parquet shard; all are null where they do not apply."""
    import pyarrow as pa

    return pa.schema(
        {
            "image": pa.string(),
            "caption": pa.string(),
            "words": pa.list_(pa.string()),
            "log_probs": pa.list_(pa.float64()),
            "sentinel": pa.list_(pa.float64()),
            "confidence": pa.float64(),
            "unsure": pa.bool_(),
            "model": pa.string(),
            "reason": pa.string(),
        }
    )


def table(rows: Iterable[Fields]) -> "pa.Table":
    """Return rows as a table; names of any bytes are escaped, as other formats escape them."""
    import pyarrow as pa

    utf8 = [
        {**row, "image": _utf8(row["image"]), "reason": _utf8(row.get("reason"))} for row in rows
    ]
    return pa.Table.from_pylist(utf8, schema=columns())


def _utf8(text: str | None) -> str | None:
    return text if text is None or text.isprintable() else LINE.escape(text)


def _parquet(rows: Iterable[Fields]) -> bytes:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table(rows), buffer, compression="zstd")
    return buffer.getvalue()


def _json_lines(rows: Iterable[Fields]) -> bytes:
    return "".join(f"{json_text(row)}\n" for row in rows).encode("utf-8", "backslashreplace")


_ENCODERS: dict[str, Callable[[Iterable[Fields]], bytes]] = {
    "parquet": _parquet,
    "jsonl": _json_lines,
}
