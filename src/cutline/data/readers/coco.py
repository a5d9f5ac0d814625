"""COCO's `captions_train2017.json` and its kin: `images` and `annotations`, joined by image id.

VizWiz's `train.json` and `val.json` are of the same kind; captions that its makers rejected are
left out. The split is in the name of the file. The images are in `train2017/` (the file's last
word) or `images/`, beside the file or, when that is in `annotations/`, one level above.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble
from cutline.data.readers.files import (
    IMAGE_FOLDERS,
    ImageFolders,
    counted,
    name_some,
    parse_json,
    read_text,
    unasked,
)

KIND = "COCO captions"
FILES = "captions_*.json"

_MOST_READ = 1 << 28  # of a file that only may be one of these
_VIZWIZ = ("train.json", "val.json", "test.json")
UNWANTED = {
    "is_rejected": "rejected by the data set's makers",
    "is_precanned": "saying only that nothing can be seen",
}


@dataclass(slots=True)
class Image:
    """An image that may have captions."""

    id: int | str
    file_name: str


@dataclass(slots=True)
class Annotation:
    """A caption."""

    image_id: int | str
    caption: str | None
    is_rejected: bool | None = None
    is_precanned: bool | None = None


@dataclass(slots=True)
class Coco:
    """The whole file."""

    images: list[Image]
    annotations: list[Annotation]


def find(path: Path) -> list[Path]:
    """Return the path itself if it is such a file, or the folder that holds some."""
    if path.is_dir():
        return [folder for folder in (path, path / "annotations") if _files(folder)][:1]
    return [path] if path.match(FILES) or _is_vizwiz(path) else []


def read(path: Path) -> Dataset:
    """Read one file, or all in a folder."""
    entries: list[Entry] = []
    notes: list[str] = []
    places: list[ImageFolders] = []
    for file in _files(path) if path.is_dir() else [path]:
        last = file.stem.rsplit("_", 1)[-1]
        folders = ImageFolders(file.parent, names=(last, f"images/{last}", *IMAGE_FOLDERS))
        found, said = _read_one(file, folders)
        entries += found
        notes += [f"{file.name}: {note}" for note in said]
        places.append(folders)
    notes += _note_on_others(path)
    return assemble(entries, kind=KIND, source=path, notes=notes + unasked(places))


def _files(folder: Path) -> list[Path]:
    # captions_val2014_fakecap_results.json is what somebody's model said, not a reference
    found = [file for file in sorted(folder.glob(FILES)) if "results" not in file.stem]
    return found or [folder / name for name in _VIZWIZ if _is_vizwiz(folder / name)]


def _note_on_others(path: Path) -> list[str]:
    """Name VizWiz's `test.json`, which has no captions."""
    files = _files(path) if path.is_dir() else []
    if not files or files[0].name not in _VIZWIZ:
        return []
    others = [path / name for name in _VIZWIZ if path / name not in files]
    return [f"{file.name} is not read: it has no captions." for file in others if file.is_file()]


def _is_vizwiz(file: Path) -> bool:
    if file.name not in _VIZWIZ or not file.is_file():
        return False
    with file.open("rb") as stream:
        whole = stream.read(_MOST_READ)
    return b'"annotations"' in whole and b'"images"' in whole and b'"caption"' in whole


def _read_one(file: Path, folders: ImageFolders) -> tuple[list[Entry], list[str]]:
    coco = parse_json(read_text(file), Coco, where=str(file))
    captions: dict[str, list[str | None]] = {str(image.id): [] for image in coco.images}
    strangers = []
    unwanted: Counter[str] = Counter()
    emptied: set[str] = set()
    for annotation in coco.annotations:
        image_id = str(annotation.image_id)
        mark = next((mark for mark in UNWANTED if getattr(annotation, mark)), None)
        if image_id not in captions:
            strangers.append(image_id)
        elif mark:
            unwanted[mark] += 1
            emptied.add(image_id)
        else:
            captions[image_id].append(annotation.caption)
    emptied = {image_id for image_id in emptied if not captions[image_id]}
    split = _split_of(file)
    entries = []
    for image in coco.images:
        place = folders.find(image.file_name)
        if str(image.id) not in emptied:
            entries.append(Entry(str(image.id), place, captions[str(image.id)], split))
    notes = folders.notes() + _note_on_strangers(strangers)
    return entries, notes + _note_on_unwanted(unwanted, emptied)


def _note_on_unwanted(unwanted: Counter[str], emptied: set[str]) -> list[str]:
    notes = [
        f"left out {counted(count, 'caption')} {UNWANTED[mark]} ({mark})."
        for mark, count in unwanted.items()
    ]
    if emptied:
        count = counted(len(emptied), "image")
        notes.append(f"left out {count} without any other caption: {name_some(sorted(emptied))}.")
    return notes


def _note_on_strangers(image_ids: list[str]) -> list[str]:
    if not image_ids:
        return []
    named = name_some(list(dict.fromkeys(image_ids)))
    count = counted(len(image_ids), "caption")
    return [f"left out {count} of images it does not list: {named}."]


def _split_of(file: Path) -> str | None:
    """Return the split that the file's name mentions, if it is exactly one.

    >>> _split_of(Path("captions_val2017.json")), _split_of(Path("captions_mine.json"))
    ('val', None)
    """
    mentioned = set(re.findall("train|val|test", file.stem.lower()))
    return mentioned.pop() if len(mentioned) == 1 else None
