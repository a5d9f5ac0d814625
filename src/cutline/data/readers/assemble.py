"""Assembly of a `Dataset` from a reader's entries: the rules that all formats share."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cutline.data.examples import Dataset, Example, Photograph
from cutline.data.readers.files import counted, name_some
from cutline.errors import DataError

__all__ = [
    "Entry",
    "assemble",
    "clean",
    "hold_out",
    "said_held_out",
    "split_by_hash",
    "split_named",
]

HELD_OUT = 0.05  # the share of val, and that of test, where a format has no splits

_SPLITS = {
    "train": ("train", "training", "restval"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_NAMED = {alias: split for split, aliases in _SPLITS.items() for alias in aliases}


class Entry(NamedTuple):
    """One image as its file describes it; `split` is None where the format does not say."""

    image_id: str
    path: Path
    captions: Iterable[str | None]
    split: str | None


def split_named(name: str) -> str | None:
    """Return train, val or test for any of the names that they go by.

    >>> split_named("validation"), split_named("restval"), split_named("images")
    ('val', 'train', None)
    """
    return _SPLIT_NAMED.get(name.lower())


def assemble(
    entries: Iterable[Entry], *, kind: str, source: Path, notes: Iterable[str] = ()
) -> Dataset:
    """Clean the captions, hold out where no split is given, and refuse an image named twice."""
    entries = list(entries)
    if not entries:
        raise DataError(f"{source} ({kind}) names no images; give a file with at least one.")
    _refuse_repeats(entries, source)
    held_out = hold_out(entry.image_id for entry in entries if entry.split is None)
    examples, emptied = [], []
    for entry in entries:
        captions = [clean(caption) for caption in entry.captions]
        kept = tuple(caption for caption in captions if caption)
        emptied += [entry.image_id] * (len(captions) - len(kept))
        split = entry.split or held_out[entry.image_id]
        examples.append(Example(entry.image_id, Photograph(entry.path), kept, split))
    said = [*notes]
    if emptied:
        said.append(f"left out {counted(len(emptied), 'empty caption')}: {name_some(emptied)}.")
    if held_out:
        said.append(said_held_out(len(held_out)))
    return Dataset(kind, str(source), tuple(examples), tuple(said))


def said_held_out(images: int) -> str:
    """Say that images were held out, and how."""
    return (
        f"no split is given for {counted(images, 'image')}: about {HELD_OUT:.0%} are "
        f"held out as val and {HELD_OUT:.0%} as test, by a hash of the name, so for good."
    )


def clean(caption: str | None) -> str:
    r"""Put a caption on one line, with single spaces.

    >>> clean("  A dog\r\nruns. ")
    'A dog runs.'
    """
    return " ".join((caption or "").split())


def hold_out(image_ids: Iterable[str]) -> dict[str, str]:
    """Split by a hash of the name alone, so that a growing data set keeps its held-out images.

    Where chance leaves val or test empty, the image nearest to it by hash is taken from train,
    as long as train keeps one.
    """
    places = {name: _place(name) for name in image_ids}
    splits = {name: split_by_hash(name) for name in places}
    for wanted in ("val", "test"):
        train = [name for name, split in splits.items() if split == "train"]
        if len(train) > 1 and wanted not in splits.values():
            splits[min(train, key=places.__getitem__)] = wanted
    return splits


def split_by_hash(name: str) -> str:
    """Return the split that an image of this name is held out for, or train."""
    place = _place(name)
    return "val" if place < HELD_OUT else "test" if place < 2 * HELD_OUT else "train"


def _place(name: str) -> float:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _refuse_repeats(entries: Iterable[Entry], source: Path) -> None:
    seen: dict[str, Entry] = {}
    repeats = []
    for entry in entries:
        if not entry.image_id:
            raise DataError(f"{source} has an image without a name; each needs one.")
        first = seen.setdefault(entry.image_id, entry)
        if first is not entry:
            splits = dict.fromkeys(str(one.split) for one in (first, entry) if one.split)
            repeats.append(f"{entry.image_id} (in {' and '.join(splits) or 'two places'})")
    if repeats:
        count = counted(len(repeats), "image")
        raise DataError(
            f"{source} names {count} more than once: {name_some(repeats)}; "
            "name each once, with all its captions, in one split."
        )
