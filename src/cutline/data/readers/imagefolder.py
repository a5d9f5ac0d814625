"""Hugging Face's imagefolder: `metadata.jsonl` or `metadata.csv` with `file_name` and `text`.

The file lies in the root, or in each of `train/`, `validation/` (or `val/`) and `test/`. Image
names are relative to it. `file_name` may be `filename` or `image`; `text` may be `caption`,
`captions` or `prompt`, and is a caption or a list of captions; rows of one image merge.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble, split_named
from cutline.data.readers.columns import column
from cutline.data.readers.files import ImageFolders, parse_json, read_text, unasked
from cutline.data.readers.tables import read_table
from cutline.errors import DataError

KIND = "Hugging Face imagefolder"
FILES = ("metadata.jsonl", "metadata.csv")

_IMAGE = ("file_name", "filename", "image")
_TEXT = ("text", "caption", "captions", "prompt")


class Row(NamedTuple):
    """One line of the file, and the columns of texts that it has."""

    file_name: str
    captions: list[str | None]
    texts: tuple[str, ...]


def find(path: Path) -> list[Path]:
    """Return the path itself if it is such a file, or the folder that holds some."""
    if path.is_dir():
        return [path] if _files(path) else []
    return [path] if path.name in FILES else []


def read(path: Path) -> Dataset:
    """Read one file, or the root's and every split's."""
    root = path if path.is_dir() else path.parent
    files = _files(path) if path.is_dir() else [path]
    entries: list[Entry] = []
    notes: list[str] = []
    places: list[ImageFolders] = []
    for file in files:
        unread = [name for name in FILES if name != file.name and file.with_name(name).is_file()]
        notes += [
            f"{file.with_name(name)} is not read, as {file.name} is there." for name in unread
        ]
        folders = ImageFolders(file.parent, names=())
        entries += _entries(file, root, folders, notes)
        notes += folders.notes()
        places.append(folders)
    return assemble(entries, kind=KIND, source=path, notes=notes + unasked(places))


def _files(root: Path) -> list[Path]:
    """Return one metadata file for the root and for each of its split folders."""
    inside = sorted(folder for folder in root.iterdir() if folder.is_dir())
    folders = [root, *(folder for folder in inside if split_named(folder.name))]
    found = ([folder / name for name in FILES if (folder / name).is_file()] for folder in folders)
    return [files[0] for files in found if files]


def _entries(file: Path, root: Path, folders: ImageFolders, notes: list[str]) -> list[Entry]:
    captions: dict[str, list[str | None]] = {}
    texts: set[tuple[str, ...]] = set()
    for row in _rows_of_csv(file) if file.suffix == ".csv" else _rows_of_jsonl(file):
        captions.setdefault(row.file_name, []).extend(row.captions)
        texts.add(row.texts)
    notes += [
        f"{file}: captions are those of '{read}', not of {', '.join(others)}."
        for read, *others in sorted(texts)
        if others
    ]
    below = file.parent.relative_to(root)
    splits = _splits([(below / name).parts[0] for name in captions if name])
    return [
        Entry((below / name).as_posix() if name else "", folders.find(name), said, split)
        for (name, said), split in zip(captions.items(), splits, strict=True)
    ]


def _splits(folders: list[str]) -> list[str | None]:
    """Take the splits from the folders if all are named so: one called `train` may hold trains."""
    splits = [split_named(folder) for folder in folders]
    return [None] * len(splits) if None in splits else splits


def _rows_of_jsonl(file: Path) -> Iterator[Row]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            where = f"line {number} of {file}"
            yield _row(parse_json(line, dict[str, Any], where=where), where)


def _rows_of_csv(file: Path) -> Iterator[Row]:
    table = read_table(read_text(file), _IMAGE, _TEXT, str(file))
    if table is None:
        first = read_text(file).split("\n")[0].strip()
        raise DataError(
            f"{file} has no columns {_either(_IMAGE)} and {_either(_TEXT)}; its first line is "
            f"'{first[:60]}'."
        )
    for row in table.rows:
        if not row.cells:
            raise DataError(f"line {row.number} of {file} has no text: '{row.line[:60]}'.")
        cells = dict(zip(table.columns, row.cells, strict=True))
        yield _row(cells, f"line {row.number} of {file}")


def _row(row: Mapping[str, Any], where: str) -> Row:
    image, text = column(row, _IMAGE), column(row, _TEXT)
    if image is None or text is None:
        lacking = _either(_IMAGE if image is None else _TEXT)
        raise DataError(f"{where} has no {lacking}, which this format needs.")
    said = row[text] if isinstance(row[text], list) else [row[text]]
    for key, values in ((image, [row[image]]), (text, said)):
        wrong = [one for one in values if not isinstance(one, str) and (key == image or one)]
        if wrong:
            raise DataError(
                f"'{key}' of {where} is not as this format needs it, which is text"
                f"{' or a list of texts' if key == text else ''}: {json.dumps(wrong[0])[:60]}."
            )
    return Row(row[image], said, tuple(name for name in _TEXT if name in row))


def _either(names: tuple[str, ...]) -> str:
    *before, last = (f"'{name}'" for name in names)
    return f"{', '.join(before)} or {last}"
