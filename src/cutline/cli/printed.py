"""Captions on standard output, in any format."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutline.cli.console import write
from cutline.results import Format, Row

__all__ = ["Printed", "printed"]


class Printed:
    """Writes rows as they come, in any format; has none of an earlier run."""

    def __init__(self, form: Format, images: list[Path], *, single: bool) -> None:
        self.notes = form.prepare(images, [])
        self._form = form
        self._single = single
        self._rows = 0

    def has(self, image: Path) -> bool:  # noqa: ARG002
        """Say that no run before this one printed `image`."""
        return False

    def write(self, row: Row) -> None:
        """Print one row, at once."""
        before = self._form.between if self._rows else self._form.head
        write(before + self._form.shown(row, single=self._single))
        self._rows += 1

    def end(self) -> None:
        """Print what comes after all rows, if there was one."""
        if self._rows:
            write(self._form.tail)


@contextmanager
def printed(form: Format, images: list[Path], *, single: bool) -> Iterator[Printed]:
    """Print the captions of `images`; `single`: one file was named, and needs no name."""
    output = Printed(form, images, single=single)
    try:
        yield output
    finally:
        output.end()
