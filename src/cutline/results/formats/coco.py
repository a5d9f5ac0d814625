"""COCO's results: an array of objects with `image_id` and `caption`, an object a line."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cutline.results.formats.format import Format, Record, agree, stored
from cutline.results.image_ids import ImageIds
from cutline.results.names import json_text
from cutline.results.rows import Row, StoredRow

__all__ = ["Coco"]


class Coco(Format):
    """An array; in a file each object also has our `image`, so that it can be gone on with."""

    name = "coco"
    title = "COCO results"
    head = "["
    between = ","
    tail = "\n]\n"

    def __init__(self) -> None:
        self._ids = ImageIds()

    def prepare(self, images: list[Path], before: Iterable[StoredRow]) -> list[str]:
        """Give each picture an id of its own."""
        return self._ids.prepare(images, before)

    def record(self, row: Row) -> str:
        """Return an object on a line, the newline before it."""
        return "\n" + json_text({**self._entry(row), "image": str(row.image)})

    def shown(self, row: Row, *, single: bool) -> str:  # noqa: ARG002
        """Leave out what only a file needs."""
        return "\n" + json_text(self._entry(row))

    def _entry(self, row: Row) -> dict[str, Any]:
        unsure = row.caption.unsure
        entry = {"image_id": self._ids.of(row.image), "caption": row.caption.text}
        return entry if unsure is None else {**entry, "unsure": unsure}

    def records(self, stream: BinaryIO) -> Iterator[Record]:
        """Read the objects of an array, however it is laid out, up to one that is not whole."""
        text = _array(stream)
        at, end = text.find("[") + 1, 0
        while (start := _after_comma(text, at)) < len(text) and text[start] != "]":
            try:
                entry, stop = json.JSONDecoder().raw_decode(text, start)
            except (ValueError, RecursionError):
                if text.count('"image_id"', start) > 1:
                    raise ValueError("an entry in the middle is not whole") from None
                return
            end += len(text[at if end else 0 : stop].encode())
            at = stop
            yield Record(stored(entry, "image_id"), end)
        if text[start:].strip() not in ("", "]"):
            raise ValueError("something comes after the array")

    def begins(self, start: bytes, images: Iterable[Path]) -> bool:  # noqa: ARG002
        """Compare with how an array of ours begins, or an empty one."""
        start = b"".join(start.split())
        return start == b"[]" or agree(start, b'[{"image_id":')


def _array(stream: BinaryIO) -> str:
    """Read a file, but for a last character of which bytes are missing."""
    start = stream.read(64)
    if not re.match(rb"(\xef\xbb\xbf)?\s*(\[|$)", start):
        raise ValueError("no array")
    return codecs.getincrementaldecoder("utf-8")().decode(start + stream.read())


def _after_comma(text: str, at: int) -> int:
    found = re.compile(r"\s*,?\s*").match(text, at)
    assert found
    return found.end()
