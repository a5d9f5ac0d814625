"""COCO's `captions_train2017.json` and its kin: `images` and `annotations`, joined by image id.

The split is in the name of the file. The images are in `train2017/` (the file's last word) or
`images/`, beside the file or, when that is in `annotations/`, one level above.
"""

import re
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
)

KIND = "COCO captions"
FILES = "captions_*.json"


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


@dataclass(slots=True)
class Coco:
    """The whole file."""

    images: list[Image]
    annotations: list[Annotation]


def find(path: Path) -> list[Path]:
    """Return the path itself if it is such a file, or the folder that holds some."""
    if path.is_dir():
        return [folder for folder in (path, path / "annotations") if _files(folder)][:1]
    return [path] if path.match(FILES) else []


def read(path: Path) -> Dataset:
    """Read one file, or all in a folder."""
    entries: list[Entry] = []
    notes: list[str] = []
    for file in _files(path) if path.is_dir() else [path]:
        found, said = _read_one(file)
        entries += found
        notes += [f"{file.name}: {note}" for note in said]
    return assemble(entries, kind=KIND, source=path, notes=notes)


def _files(folder: Path) -> list[Path]:
    # captions_val2014_fakecap_results.json is what somebody's model said, not a reference
    return [file for file in sorted(folder.glob(FILES)) if "results" not in file.stem]


def _read_one(file: Path) -> tuple[list[Entry], list[str]]:
    coco = parse_json(read_text(file), Coco, where=str(file))
    captions: dict[str, list[str | None]] = {str(image.id): [] for image in coco.images}
    strangers = []
    for annotation in coco.annotations:
        image_id = str(annotation.image_id)
        if image_id in captions:
            captions[image_id].append(annotation.caption)
        else:
            strangers.append(image_id)
    last = file.stem.rsplit("_", 1)[-1]
    folders = ImageFolders(file.parent, names=(last, f"images/{last}", *IMAGE_FOLDERS))
    split = _split_of(file)
    entries = [
        Entry(str(image.id), folders.find(image.file_name), captions[str(image.id)], split)
        for image in coco.images
    ]
    return entries, folders.notes() + _note_on_strangers(strangers)


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
