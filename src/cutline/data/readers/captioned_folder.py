"""A folder of pictures, each with its captions beside it: `photo.txt` for `photo.jpg`.

`photo.caption` and `photo.json` (an object with `caption`) do as well; a text file holds a caption
a line. Where all pictures lie in `train/`, `val/` and `test/`, these are the splits. Captions that
`cutline caption` marked as unsure guesses are left out.
"""

from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import Entry, assemble, split_named
from cutline.data.readers.files import counted, name_some, walk
from cutline.data.readers.sidecars import Beside, beside, captions_of, differs

KIND = "captions beside pictures"
FILES = "photo.txt or photo.caption beside photo.jpg"


def find(path: Path) -> list[Path]:
    """Return the folder if at least one picture in or below it has a caption file."""
    if not path.is_dir():
        return []
    return [path] if any(_has_captions(here, names) for here, names in walk(path)) else []


def read(path: Path) -> Dataset:
    """Read all folders below one."""
    reading = _Reading(path)
    for here, names in walk(path, strict=True):
        reading.add(beside(here, names))
    folders = [Path(entry.image_id).parts[0] for entry in reading.entries]
    splits = [split_named(folder) for folder in folders]
    entries = [
        entry._replace(split=None if None in splits else split)
        for entry, split in zip(reading.entries, splits, strict=True)
    ]
    return assemble(entries, kind=KIND, source=path, notes=reading.notes())


def _has_captions(here: Path, names: list[str]) -> bool:
    found = beside(here, names)
    files = [file for file in found.captions.values() if file]
    # of JSON beside pictures much else is known than captions
    return any(file.suffix.lower() != ".json" or captions_of(file)[0] for file in files)


class _Reading:
    """Collects entries, and the names of what was left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: list[Entry] = []
        self.without: list[str] = []
        self.unsure: list[str] = []
        self.shared: list[str] = []
        self.strangers: list[str] = []
        self.unread: list[str] = []

    def add(self, found: Beside) -> None:
        """Take in one folder."""
        self.shared += map(self._name, found.shared)
        self.strangers += map(self._name, found.strangers)
        for picture, file in found.captions.items():
            name = self._name(picture)
            captions, unsure = captions_of(file) if file else ([], False)
            others = found.unread.get(picture, []) if file else []
            self.unread += [self._name(one) for one in others if file and differs(file, one)]
            if unsure:
                self.unsure.append(name)
            elif not captions:
                self.without.append(name)
            else:
                self.entries.append(Entry(name, picture, captions, None))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def notes(self) -> list[str]:
        """Say what was left out, counted and named."""
        said = {
            "left out {} that a model captioned and was unsure of ('perhaps: '): {}.": (
                self.unsure,
                "picture",
            ),
            "left out {} without captions: {}.": (self.without, "picture"),
            "left out {} of equal names, as a caption file could be of either: {}.": (
                self.shared,
                "picture",
            ),
            "left out {} of captions without a picture: {}.": (self.strangers, "file"),
            "left out {} of captions beside others of the same picture: {}.": (self.unread, "file"),
        }
        return [
            sentence.format(counted(len(names), thing), name_some(names, 3))
            for sentence, (names, thing) in said.items()
            if names
        ]
