"""Flickr8k as published: `Flickr8k.token.txt` with lines `1000268201.jpg#0<tab>A child ...`.

`Flickr_8k.trainImages.txt`, `devImages` and `testImages` beside it list the images of each
split. As published it captions one image that does not exist, `2258277193_586949ec62.jpg.1`.
Flickr30k's `results_20130124.token` is the same without lists.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble
from cutline.data.readers.files import ImageFolders, counted, name_some, read_text, unasked
from cutline.errors import DataError
from cutline.images import IMAGE_SUFFIXES

KIND = "Flickr8k token file"
FILES = "Flickr8k.token.txt or results_20130124.token"

LINE = re.compile(r"(?P<name>[^\t]+?)#\d+\t(?P<caption>.*)")
_SPLIT_LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_FILES = ("Flickr8k.token.txt", "results_20130124.token")
_UNPACKED = ("text", "Flickr8k_text")  # where the published archive puts it


def find(path: Path) -> list[Path]:
    """Return the path itself if it is the file, or the file in the folder."""
    if not path.is_dir():
        return [path] if path.name.endswith((".token.txt", ".token")) else []
    places = [path, *(path / name for name in _UNPACKED)]
    files = [place / name for name in _FILES for place in places]
    return [file for file in files if file.is_file()][:1]


def read(path: Path) -> Dataset:
    """Read the captions and the split lists; without lists, images are held out."""
    captions = _captions(path)
    folders = ImageFolders(path.parent)
    located = {name: folders.find(name) for name in captions if not _is_misnamed(name)}
    splits = _splits(path.parent)
    notes = _note("with a name that no file has", [*captions.keys() - located.keys()])
    if splits:
        unlisted = [name for name in located if name not in splits]
        notes += _note("in no split list", unlisted)
        uncaptioned = [name for name in splits if name not in located]
        notes += _note("without captions in a split list", uncaptioned)
        located = {name: path for name, path in located.items() if name in splits}
    entries = [
        Entry(name, place, captions[name], splits.get(name)) for name, place in located.items()
    ]
    notes += [*folders.notes(), *unasked([folders])]
    kind = KIND.replace("8k", "30k") if path.name == _FILES[1] else KIND
    return assemble(entries, kind=kind, source=path, notes=notes)


def _captions(path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for number, line in _lines(path):
        match = LINE.fullmatch(line)
        if match is None:
            raise DataError(
                f"line {number} of {path} is not 'image.jpg#0<tab>caption' but '{line[:60]}'."
            )
        captions.setdefault(match["name"].strip(), []).append(match["caption"])
    return captions


def _splits(folder: Path) -> dict[str, str]:
    """Return the split of every image that is in a list."""
    splits: dict[str, str] = {}
    twice = []
    for split, file_name in _SPLIT_LISTS.items():
        if not (folder / file_name).is_file():
            continue
        for _, line in _lines(folder / file_name):
            name = line.strip()
            if splits.setdefault(name, split) != split:
                twice.append(f"{name} (in {splits[name]} and {split})")
    if twice:
        raise DataError(
            f"the split lists in {folder} name {counted(len(twice), 'image')} twice: "
            f"{name_some(twice)}; list each in one."
        )
    return splits


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    lines = re.split(r"\r\n|\r|\n", read_text(path))
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _is_misnamed(name: str) -> bool:
    """Tell whether something follows the suffix, as in `x.jpg.1`."""
    path = Path(name)
    return path.suffix[1:].isdigit() and Path(path.stem).suffix.lower() in IMAGE_SUFFIXES


def _note(which: str, names: list[str]) -> list[str]:
    count = counted(len(names), "image")
    return [f"left out {count} {which}: {name_some(names)}."] if names else []
