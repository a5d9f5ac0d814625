"""Hugging Face's imagefolder: `metadata.jsonl` or `metadata.csv` with `file_name` and `text`.

The file lies in the root, or in each of `train/`, `validation/` (or `val/`) and `test/`. Image
names are relative to it. `text` is a caption or a list of captions; rows of one image merge.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble, split_named
from cutline.data.readers.files import ImageFolders, parse_json, read_text
from cutline.errors import DataError

KIND = "Hugging Face imagefolder"
FILES = ("metadata.jsonl", "metadata.csv")


@dataclass(slots=True)
class Row:
    """One line of the file."""

    file_name: str
    text: str | list[str | None] | None

    def captions(self) -> list[str | None]:
        """Return the captions, be there one or a list."""
        return self.text if isinstance(self.text, list) else [self.text]


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
    for file in files:
        unread = [name for name in FILES if name != file.name and file.with_name(name).is_file()]
        notes += [
            f"{file.with_name(name)} is not read, as {file.name} is there." for name in unread
        ]
        folders = ImageFolders(file.parent, names=())
        entries += _entries(file, root, folders)
        notes += folders.notes()
    return assemble(entries, kind=KIND, source=path, notes=notes)


def _files(root: Path) -> list[Path]:
    """Return one metadata file for the root and for each of its split folders."""
    inside = sorted(folder for folder in root.iterdir() if folder.is_dir())
    folders = [root, *(folder for folder in inside if split_named(folder.name))]
    found = ([folder / name for name in FILES if (folder / name).is_file()] for folder in folders)
    return [files[0] for files in found if files]


def _entries(file: Path, root: Path, folders: ImageFolders) -> list[Entry]:
    captions: dict[str, list[str | None]] = {}
    for row in _rows_of_csv(file) if file.suffix == ".csv" else _rows_of_jsonl(file):
        captions.setdefault(row.file_name, []).extend(row.captions())
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
            yield parse_json(line, Row, where=f"line {number} of {file}")


def _rows_of_csv(file: Path) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""))
    columns = reader.fieldnames or []
    for needed in ("file_name", "text"):
        if needed not in columns:
            raise DataError(f"{file} has no column '{needed}'; it has: {', '.join(columns)}.")
    try:
        for row in reader:
            if row["text"] is None:
                raise DataError(f"line {reader.line_num} of {file} has no text.")
            yield Row(row["file_name"], row["text"])
    except csv.Error as error:
        raise DataError(f"line {reader.line_num + 1} of {file} is not CSV: {error}.") from error
