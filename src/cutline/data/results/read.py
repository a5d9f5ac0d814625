"""Anybody's captions and references, from a file or folder, whatever its suffix.

JSON of any shape in `shapes`, JSON lines, tables (csv, tsv, `;`, `|`) with a header, lines of
`image<TAB>caption`, folders of sidecars, and for references any data set that Cutline reads.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cutline.data.readers import open_dataset
from cutline.data.readers.columns import PREDICTIONS, REFERENCES
from cutline.data.readers.files import counted, name_some, read_text
from cutline.data.readers.recognise import karpathy_file, named_as_dataset
from cutline.data.results.folder import read_sidecars
from cutline.data.results.lines import parsed, read_lines
from cutline.data.results.records import ALLOWED, Found, Record, grouped
from cutline.data.results.shapes import read_json
from cutline.errors import DataError

__all__ = ["read_references", "read_results"]

_NO_TEXT = {
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as csv",
    b"PAR1": "a Parquet table; write it as csv or JSON lines",
    b"\x80": "a pickle, which may run code when it is opened; write it as JSON",
    b"\x93NUMPY": "a numpy file; write it as JSON",
}


def read_results(path: Path) -> Found:
    """Read captions that a model wrote, in the file's order, duplicates included."""
    with _readable(path):
        found = read_sidecars(path) if path.is_dir() else _file(path, PREDICTIONS)
    records = [Record(one.names, (text,), one.split) for one in found.records for text in one.texts]
    return _checked(Found(path, records, found.notes), found.records)


def read_references(path: Path) -> Found:
    """Read captions that people wrote, an entry an image, of all splits where there are several."""
    with _readable(path):
        file = karpathy_file(path)  # it knows its images by more names than a data set does
        if file is None and (str(path) == "scenes" or not path.exists() or named_as_dataset(path)):
            return _data_set(path)
        found = _file(file or path, REFERENCES)
    records = grouped(found.records)
    return _checked(Found(path, records, found.notes), records)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _checked(found: Found, before: Sequence[Record]) -> Found:
    """Say which images have no text at all; refuse a file that has none."""
    empty = [record.name for record in before if not record.texts]
    records = [record for record in found.records if record.texts]
    if not records:
        raise DataError(f"{found.source} holds no captions; {ALLOWED}.")
    count = counted(len(empty), "image")
    said = [f"{found.source}: {count} with an empty list of captions: {name_some(empty)}."]
    return Found(found.source, records, found.notes + said * bool(empty))


def _data_set(path: Path) -> Found:
    dataset = open_dataset(path)
    records = [
        Record({"image id": (one.image_id,), "file": (one.picture.name,)}, one.captions, one.split)
        for one in dataset.examples
    ]
    notes = [f"{path}: {note}" for note in dataset.notes if "left out" in note]
    return _checked(Found(path, records, notes), records)


def _file(path: Path, columns: Sequence[str]) -> Found:
    text = _text(path)
    whole = parsed(text)
    if whole is None and text.lstrip()[0] in "{[":
        whole = _lines_of_json(text, path)
    if whole is not None:
        return read_json(whole, path, columns)
    return read_lines(text, path, columns)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    for magic, what in _NO_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}; or {ALLOWED}.")
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty; {ALLOWED}.")
    return text


def _lines_of_json(text: str, path: Path) -> Any:
    """Parse JSON lines under whatever suffix; what else begins as JSON is refused."""
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = lines[0][1]
    if path.suffix.lower() == ".jsonl" or (len(lines) > 1 and isinstance(parsed(first), dict)):
        return [_loads(line, f"line {number} of {path}") for number, line in lines]
    return _loads(text, str(path))


def _loads(text: str, where: str) -> Any:
    # not pydantic, as elsewhere: it refuses half a surrogate pair, which models do write
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DataError(f"{where} is not valid JSON: it is nested too deeply.") from error
    except json.JSONDecodeError as error:
        rest = text[error.pos :].strip() if error.msg != "Extra data" else text
        hint = "" if rest else "; it is cut short: `cutline caption --resume` mends what it wrote"
        raise DataError(f"{where} is not valid JSON: {error}{hint}.") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{where} is not valid JSON: {error}.") from error
