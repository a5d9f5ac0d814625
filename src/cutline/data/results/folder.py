"""Captions beside pictures, or in a folder of caption files alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cutline.data.readers.files import counted, name_some, walk
from cutline.data.readers.sidecars import SIDECARS, Beside, beside, captions_of, differs
from cutline.data.results.lines import unhedged
from cutline.data.results.records import ALLOWED, Found, Record
from cutline.errors import DataError

__all__ = ["read_sidecars"]


def read_sidecars(folder: Path) -> Found:
    """Read the captions in a folder and all below it; an image goes by its picture's path."""
    records: list[Record] = []
    hedged: list[str] = []
    ignored: list[Path] = []
    for here, names in walk(folder, strict=True):
        found = beside(here, names)
        _refuse_shared(found)
        ignored += _ignored(found)
        for picture, file in _pairs(here, names, found):
            texts, unsure = captions_of(file)
            if not texts:  # JSON of another program
                continue
            name = picture.relative_to(folder).as_posix()
            hedged += [name] if unsure and file.suffix.lower() != ".json" else []
            records.append(Record({"image": (name,)}, tuple(texts)))
    if not records:
        raise DataError(
            f"{folder} is a folder without captions beside pictures; {ALLOWED}, or a folder of "
            "photo.jpg with photo.txt."
        )
    notes = unhedged(hedged, folder)
    if ignored:
        count = counted(len(ignored), "file")
        named = name_some([str(file) for file in ignored], 3)
        notes.append(f"{folder}: {count} of captions not read: {named}.")
    return Found(folder, records, notes)


def _pairs(here: Path, names: Sequence[str], found: Beside) -> Iterator[tuple[Path, Path]]:
    """Give each picture with its caption file; without pictures, names without endings."""
    if found.captions:
        yield from ((picture, file) for picture, file in found.captions.items() if file)
        return
    files = [here / name for name in names if Path(name).suffix.lower() in SIDECARS]
    files.sort(key=lambda file: (file.stem, SIDECARS.index(file.suffix.lower())), reverse=True)
    yield from sorted({file.with_suffix(""): file for file in files}.items())


def _ignored(found: Beside) -> list[Path]:
    """Return caption files of no picture, and those that say something else than the one read."""
    others = [
        other
        for picture, file in found.captions.items()
        for other in found.unread[picture]
        if file and differs(file, other)
    ]
    return others + (found.strangers if found.captions else [])


def _refuse_shared(found: Beside) -> None:
    if found.shared:
        named = name_some([str(path) for path in found.shared])
        raise DataError(
            f"{named} share a caption file, so it is not known whose it is; name each with its "
            "picture's suffix, as in a.png.txt."
        )
