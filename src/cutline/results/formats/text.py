"""Text: the path, a tab and the caption on a line."""

from collections.abc import Iterable
from pathlib import Path

from cutline.results.formats.format import Lines, agree
from cutline.results.names import LINE
from cutline.results.rows import DOUBT, Row, StoredRow

__all__ = ["Text"]


class Text(Lines):
    """The path, a tab and the caption on a line; see `names` for what is escaped."""

    name = "text"
    title = "text with tabs"

    def record(self, row: Row) -> str:
        """Return a line with the path."""
        return f"{LINE.escape(str(row.image))}\t{self.shown(row, single=True)}"

    def shown(self, row: Row, *, single: bool) -> str:
        """Leave out the path where only one picture was asked for."""
        return f"{LINE.escape(row.caption.hedged)}\n" if single else self.record(row)

    def parse(self, line: str, *, first: bool) -> StoredRow | None:  # noqa: ARG002
        """Read one line; the word of doubt is no part of the caption."""
        if not line:
            return None
        image, tab, caption = line.partition("\t")
        if not (image and tab) or "\t" in caption:
            raise ValueError("not a path, a tab and a caption")
        unsure = True if caption.startswith(DOUBT) else None
        caption = LINE.unescape(caption.removeprefix(DOUBT))
        return StoredRow(LINE.unescape(image), caption, unsure)

    def begins(self, start: bytes, images: Iterable[Path]) -> bool:
        """Compare with the pictures of the run: any text might be a path."""
        names = (f"{LINE.escape(str(image))}\t".encode() for image in images)
        return any(agree(start, name) for name in names)
