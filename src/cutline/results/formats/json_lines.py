"""JSON lines: an object a line, with all that is known of a caption."""

import json
from collections.abc import Iterable
from pathlib import Path

from cutline.results.formats.format import Lines, agree, stored
from cutline.results.names import json_text
from cutline.results.rows import Row, StoredRow

__all__ = ["Json"]


class Json(Lines):
    """An object a line."""

    name = "jsonl"
    title = "JSON lines"

    def record(self, row: Row) -> str:
        """Return an object on a line."""
        return json_text(row.to_dict()) + "\n"

    def parse(self, line: str, *, first: bool) -> StoredRow | None:  # noqa: ARG002
        """Read one object."""
        return stored(json.loads(line), "image") if line.strip() else None

    def begins(self, start: bytes, images: Iterable[Path]) -> bool:  # noqa: ARG002
        """Compare with how an object of ours begins."""
        return agree(start, b'{"image": "')
