"""Results reader: format, rows, and the end of the last whole row of a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cutline.errors import DataError
from cutline.files import printable
from cutline.results.formats import FORMATS, Format
from cutline.results.rows import StoredRow

__all__ = ["Content", "read_content", "read_rows", "recognise"]


class Content(NamedTuple):
    """Content of a results file.

    Attributes:
        rows: its whole rows, without their captions.
        end: the offset in bytes where the last of them ends.
        whole: whether nothing but the format's own end comes after it.
    """

    rows: list[StoredRow]
    end: int
    whole: bool


def read_content(path: Path, form: Format, images: Iterable[Path]) -> Content:
    """Read a file of captions that a run is to go on with; `images` are those of the run.

    Raises:
        DataError: it is of another kind, or damaged not only at its end.
    """
    rows, end = [], 0
    with path.open("rb") as stream:
        try:
            for record in form.records(stream):
                rows.append(record.row._replace(caption=""))
                end = record.end
        except ValueError as error:
            raise _refusal(path, form, error, known=bool(rows)) from None
        stream.seek(end)
        rest = stream.read().strip()
    if not rows and rest and not form.begins(rest, images):
        raise _refusal(path, form, ValueError("not one whole row"), known=False)
    return Content(rows, end, whole=rest == form.tail.strip().encode())


def recognise(path: Path) -> str | None:
    """Return in which of Cutline's formats a file holds captions, or None."""
    for name, form in FORMATS.items():
        try:
            with path.open("rb") as stream:
                if next(form().records(stream), None) is not None:
                    return name
        except ValueError:
            continue
    return None


def read_rows(path: Path) -> Iterator[StoredRow]:
    """Read the rows of a file that `cutline caption` wrote, in whichever format.

    Raises:
        DataError: it is none, or a row is not whole.
    """
    name = recognise(path)
    if name is None:
        raise DataError(f"{printable(path)} holds no captions of `cutline caption`.")
    kind = FORMATS[name]
    with path.open("rb") as stream:
        try:
            for record in kind().records(stream):
                yield record.row
        except ValueError as error:
            reason = printable(str(error))
            raise DataError(
                f"{printable(path)} is no {kind.title} throughout ({reason}); mend it."
            ) from None


def _refusal(path: Path, form: Format, error: ValueError, *, known: bool) -> DataError:
    reason = printable(str(error))
    if known:
        return DataError(
            f"{printable(path)} cannot be gone on with, because it is not {form.title} throughout "
            f"({reason}); mend it, or give another name."
        )
    found = recognise(path)
    if found is not None and found != form.name:
        return DataError(
            f"{printable(path)} holds captions in the format {found}, not {form.name}; add "
            f"--format {found} to go on with it, or give another name."
        )
    return DataError(
        f"{printable(path)} holds {_foreign(path)}, no captions in the format {form.name} "
        f"({reason}); give another name."
    )


def _foreign(path: Path) -> str:
    """Name what is not ours."""
    with path.open("rb") as stream:
        start = stream.read(1 << 16)
    if b"\0" in start:
        return "no text"
    if start.lstrip()[:1] in (b"{", b"["):
        return "COCO annotations" if b'"annotations"' in start else "other JSON"
    first = start.partition(b"\n")[0].decode("utf-8", "replace").strip()
    if path.suffix.lower() in (".csv", ".tsv"):
        return f"a table with the columns {printable(first[:80])}"
    return "other text"
