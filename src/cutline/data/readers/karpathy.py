"""Karpathy's JSON: `dataset_flickr8k.json`, `dataset_flickr30k.json`, `dataset_coco.json`.

One object per image with `filename`, perhaps `filepath` (COCO's `train2014`), `split` and
`sentences`, each with the caption as written in `raw`. The images are in `images/` beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble, split_named
from cutline.data.readers.files import ImageFolders, parse_json, read_text, unasked
from cutline.errors import DataError

KIND = "Karpathy JSON"
FILES = "dataset_*.json"


@dataclass(slots=True)
class Sentence:
    """A caption as people wrote it (`tokens` are made anew)."""

    raw: str | None


@dataclass(slots=True)
class Image:
    """One image, its split and captions."""

    filename: str
    split: str
    sentences: list[Sentence]
    filepath: str = ""


@dataclass(slots=True)
class Karpathy:
    """The whole file."""

    images: list[Image]


def find(path: Path) -> list[Path]:
    """Return the files of this format: the path itself, or those in the folder."""
    return sorted(path.glob(FILES)) if path.is_dir() else [path] if path.match(FILES) else []


def read(path: Path) -> Dataset:
    """Read one file; `restval` counts as train."""
    images = parse_json(read_text(path), Karpathy, where=str(path)).images
    folders = ImageFolders(path.parent)
    entries = list(_entries(images, folders, path))
    return assemble(entries, kind=KIND, source=path, notes=folders.notes() + unasked([folders]))


def _entries(images: list[Image], folders: ImageFolders, path: Path) -> Iterator[Entry]:
    for number, image in enumerate(images):
        split = split_named(image.split)
        if split is None:
            raise DataError(
                f"images[{number}] in {path} has the split '{image.split}'; allowed are train, "
                "restval, val and test."
            )
        name = f"{image.filepath}/{image.filename}" if image.filepath else image.filename
        found = folders.find(*dict.fromkeys((name, image.filename)))
        yield Entry(name, found, [sentence.raw for sentence in image.sentences], split)
