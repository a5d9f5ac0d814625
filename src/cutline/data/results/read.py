"""Anybody's captions and references, from a file or folder, whatever its suffix.

JSON of any shape in `shapes`, JSON lines, tables (csv, tsv, `;`, `|`) with a header, lines of
`image<TAB>caption`, folders of sidecars, and for references any data set that Cutline reads.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cutline.data.readers import open_dataset
from cutline.data.readers.columns import IMAGES, PREDICTIONS, REFERENCES, RUNNING
from cutline.data.readers.files import counted, is_picture, name_some, read_text, walk
from cutline.data.readers.recognise import karpathy_file, named_as_dataset
from cutline.data.readers.sidecars import HEDGE, beside, captions_of, differs
from cutline.data.readers.tables import read_table
from cutline.data.results.records import Found, Record, grouped
from cutline.data.results.shapes import read_json
from cutline.errors import DataError

__all__ = ["read_references", "read_results"]

_ALLOWED = (
    "give JSON or JSON lines with 'image_id' and 'caption', a csv or tsv with such columns, lines "
    "of image<tab>caption"
)
_NO_TEXT = {
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as csv",
    b"PAR1": "a Parquet table; write it as csv or JSON lines",
    b"\x80": "a pickle, which may run code when it is opened; write it as JSON",
    b"\x93NUMPY": "a numpy file; write it as JSON",
}
_NUMBER = re.compile(r" *\d+(\.0*)? *")
_NUMBERED = re.compile(r"(?P<name>[^\t]+\.\w{3,4})#\d+")


def read_results(path: Path) -> Found:
    """Read captions that a model wrote, in the file's order, duplicates included."""
    found = _sidecars(path) if path.is_dir() else _file(path, PREDICTIONS)
    records = [Record(one.names, (text,), one.split) for one in found.records for text in one.texts]
    return _checked(Found(path, records, found.notes), found.records)


def read_references(path: Path) -> Found:
    """Read captions that people wrote, an entry an image, of all splits where there are several."""
    file = karpathy_file(path)  # it knows its images by more names than a data set does
    if file is None and (str(path) == "scenes" or not path.exists() or named_as_dataset(path)):
        return _data_set(path)
    found = _file(file or path, REFERENCES)
    records = grouped(found.records)
    return _checked(Found(path, records, found.notes), records)


def _checked(found: Found, before: Sequence[Record]) -> Found:
    """Say which images have no text at all; refuse a file that has none."""
    empty = [record.name for record in before if not record.texts]
    records = [record for record in found.records if record.texts]
    if not records:
        raise DataError(f"{found.source} holds no captions; {_ALLOWED}.")
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
    whole = _parsed(text)
    if whole is None and text.lstrip()[0] in "{[":
        whole = _lines_of_json(text, path)
    if whole is not None:
        return read_json(whole, path, columns)
    table = read_table(text, (*IMAGES, *RUNNING), columns, str(path))
    if table is not None:
        return read_json(list(_cells(table.columns, table.rows, path)), path, columns)
    return _lines(text, path, columns)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    for magic, what in _NO_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}; or {_ALLOWED}.")
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty; {_ALLOWED}.")
    return text


def _parsed(text: str) -> Any:
    """Parse JSON; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines_of_json(text: str, path: Path) -> Any:
    """Parse JSON lines under whatever suffix; what else begins as JSON is refused."""
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = lines[0][1]
    if path.suffix.lower() == ".jsonl" or (len(lines) > 1 and isinstance(_parsed(first), dict)):
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


def _cells(columns: list[str], rows: Sequence[Any], path: Path) -> Iterator[dict[str, str]]:
    for row in rows:
        if not row.cells:
            raise DataError(
                f"line {row.number} of {path} has too few cells for its first line "
                f"({', '.join(columns)}): '{row.line[:60]}'."
            )
        yield dict(zip(columns, row.cells, strict=True))


def _lines(text: str, path: Path, columns: Sequence[str]) -> Found:
    """Read `image<TAB>caption`, or two columns of a csv whose first is certainly an image."""
    lines = [(n, line.removesuffix("\r")) for n, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line.strip()]
    without = [(number, line) for number, line in lines if "\t" not in line]
    if lines and not without:
        return _tabbed([line for _, line in lines], path, columns)
    pairs = _pairs([line for _, line in lines])
    if pairs:
        return read_json(pairs, path, columns)
    number, line = without[0] if without else (1, "")
    if len(without) == len(lines):
        raise DataError(
            f"{path} names no images: it begins with '{line[:60]}'; {_ALLOWED}, or a folder of "
            "sidecars."
        )
    raise DataError(f"line {number} of {path} is not image<tab>caption: '{line[:60]}'.")


def _tabbed(lines: list[str], path: Path, columns: Sequence[str]) -> Found:
    """Read what `cutline caption` writes as text, Flickr's tokens, and Oscar's tsv with JSON."""
    pairs = [tuple(line.split("\t", 1)) for line in lines]
    if all(_NUMBERED.fullmatch(name) for name, _ in pairs):
        pairs = [(name.rpartition("#")[0], text) for name, text in pairs]
    if all(text.startswith(("[{", '["')) and _parsed(text) for _, text in pairs):
        return read_json([[name, json.loads(text)] for name, text in pairs], path, columns)
    hedged = [name for name, text in pairs if text.startswith(HEDGE)]
    found = read_json([[name, text.removeprefix(HEDGE)] for name, text in pairs], path, columns)
    return Found(path, found.records, [*found.notes, *_unhedged(hedged, path)])


def _pairs(lines: list[str]) -> list[list[str]]:
    """Return the rows of a csv without a header, if each is certainly an image and a text."""
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error:
        return []
    sure = all(len(row) == 2 and (is_picture(row[0]) or _NUMBER.fullmatch(row[0])) for row in rows)
    return rows if sure else []


def _unhedged(images: list[str], path: Path) -> list[str]:
    if not images:
        return []
    count = counted(len(images), "unsure caption")
    return [
        f"{path}: '{HEDGE.strip()}' before {count} is no word of it and is not scored: "
        f"{name_some(images, 3)}."
    ]


def _sidecars(folder: Path) -> Found:
    """Read captions beside pictures, or from a folder of caption files alone."""
    records, hedged, ignored = [], [], []
    for here, names in walk(folder):
        found = beside(here, names)
        pairs = [(picture, file) for picture, file in found.captions.items() if file]
        if not found.captions and not found.shared:
            pairs = [(file.with_suffix(""), file) for file in map(here.joinpath, names)
                     if file.suffix.lower() in (".txt", ".caption", ".json")]  # fmt: skip
        elif found.shared:
            named = name_some([str(path) for path in found.shared])
            raise DataError(
                f"{named} share a caption file, so it is not known whose it is; name each with its "
                "picture's suffix, as in a.png.txt."
            )
        ignored += [str(file) for file in found.strangers if found.captions]
        for picture, file in pairs:
            texts, unsure = captions_of(file)
            name = picture.relative_to(folder).as_posix()
            if unsure and file.suffix.lower() != ".json":
                hedged.append(name)
            records.append(Record({"image": (name,)}, tuple(texts)))
            ignored += [
                str(other) for other in found.unread.get(picture, []) if differs(file, other)
            ]
    if not records:
        raise DataError(
            f"{folder} is a folder without captions beside pictures; {_ALLOWED}, or a folder of "
            "photo.jpg with photo.txt."
        )
    notes = _unhedged(hedged, folder)
    if ignored:
        count = counted(len(ignored), "file")
        notes.append(f"{folder}: {count} of captions not read: {name_some(ignored, 3)}.")
    return Found(folder, records, notes)
