"""`captions.txt` as on Kaggle: a header `image,caption`, then one line per caption.

The columns may have other names (`file_name`, `text`, ...) and stand between tabs, semicolons or
bars: Flickr30k's `results.csv` begins `image_name| comment_number| comment`, and one of its rows
lacks a bar. The images are in `Images/`, `flickr30k_images/` or the like beside it.
"""

import re
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble
from cutline.data.readers.columns import CAPTIONS, PICTURES
from cutline.data.readers.files import ImageFolders, counted, name_some, read_text, unasked
from cutline.data.readers.tables import Row, Table, read_table
from cutline.errors import DataError

KIND = "image,caption CSV"
FILES = "captions.txt, captions.csv, captions.tsv or results.csv"

_FILES = ("captions.txt", "captions.csv", "captions.tsv")
_FLICKR30K = "results.csv"
_ARCHIVE = "flickr30k_images"  # Kaggle's, which holds a folder of the same name
_BROKEN = re.compile(r"(?P<name>[^|]+\.\w{3,4})\| *(?P<number>\d+)\s+(?P<caption>[^|]+)")


def find(path: Path) -> list[Path]:
    """Return the path itself if it is such a file, or those in the folder."""
    if not path.is_dir():
        named = path.name in _FILES or (path.name == _FLICKR30K and is_table(path, "|"))
        return [path] if named and path.is_file() else []
    here = [path / name for name in _FILES if (path / name).is_file()]
    there = [folder / _FLICKR30K for folder in (path, path / _ARCHIVE)]
    return here + [file for file in there if file.is_file() and is_table(file, "|")][:1]


def is_table(path: Path, separator: str = "") -> bool:
    """Tell from its first line whether a file has columns of images and captions."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline(10_000)  # it may be a film of many gigabytes
    table = read_table(line.rstrip("\r\n"), PICTURES, CAPTIONS, str(path))
    return table is not None and separator in line


def read(path: Path) -> Dataset:
    """Read the captions; images are held out, as the format has no splits."""
    table = _table(path)
    captions: dict[str, list[str]] = {}
    mended = []
    unsure = table.columns.index("unsure") if "unsure" in table.columns else None
    guesses = []
    for row in table.rows:
        cells, whole = _cells(row, table, path)
        if unsure is not None and cells[unsure].strip().lower() == "true":
            guesses.append(cells[table.image])
            continue
        captions.setdefault(cells[table.image], []).append(cells[table.text])
        mended += [] if whole else [cells[table.image]]
    folders = ImageFolders(path.parent)
    entries = [Entry(name, folders.find(name), said, None) for name, said in captions.items()]
    count = counted(len(mended), "row")
    notes = [f"{count} without a '|' read all the same: {name_some(mended)}."] if mended else []
    if guesses:
        count = counted(len(guesses), "caption")
        notes.append(f"left out {count} that a model was unsure of: {name_some(guesses)}.")
    notes += [*folders.notes(), *unasked([folders])]
    return assemble(entries, kind=KIND, source=path, notes=notes)


def _table(path: Path) -> Table:
    text = read_text(path)
    table = read_table(text, PICTURES, CAPTIONS, str(path))
    if table is None:
        first = re.split(r"\r\n|\r|\n", text)[0]
        raise DataError(f"line 1 of {path} is '{first[:60]}'; put 'image,caption' there.")
    return table


def _cells(row: Row, table: Table, path: Path) -> tuple[list[str], bool]:
    """Return a row's cells, and whether it was whole."""
    if row.cells:
        return row.cells, True
    broken = _BROKEN.fullmatch(row.line) if len(table.columns) == 3 else None
    if broken is None:
        wanted = ",".join(table.columns)
        raise DataError(f"line {row.number} of {path} is not '{wanted}': '{row.line[:60]}'.")
    return [broken["name"].strip(), broken["number"], broken["caption"]], False
