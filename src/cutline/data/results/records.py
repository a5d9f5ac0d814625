"""Records: one entry of a file of captions or references, and the values allowed in it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from cutline.data.readers.columns import IMAGES, RUNNING, column
from cutline.errors import DataError

__all__ = ["ALLOWED", "Found", "Record", "grouped", "names_in", "shown", "spelled", "texts_in"]

# What may be given, for messages.
ALLOWED = (
    "give JSON or JSON lines with 'image_id' and 'caption', a csv or tsv with such columns, lines "
    "of image<tab>caption"
)

Names = dict[str, tuple[str, ...]]


class Record(NamedTuple):
    """An image under all the names that it goes by (kind to names), and its texts."""

    names: Names
    texts: tuple[str, ...]
    split: str | None = None

    @property
    def name(self) -> str:
        """The first name."""
        return next(iter(self.names.values()))[0]


class Found(NamedTuple):
    """Content of a file, duplicates included, and notes on what was decided while reading it."""

    source: Path
    records: list[Record]
    notes: list[str]


def spelled(value: Any) -> str | None:
    """Return an image's name as text, None if the value can be none.

    >>> spelled("a.jpg"), spelled(7), spelled(7.0), spelled(True), spelled([7])
    ('a.jpg', '7', '7', None, None)
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return str(value)


def names_in(entry: Mapping[str, Any]) -> Names:
    """Return all names of an entry; running numbers only where there is nothing else."""
    for allowed in (IMAGES, RUNNING):
        names: Names = {
            key: (said,) for key in allowed if (said := spelled(entry.get(key))) is not None
        }
        if names:
            return names
    return {}


def texts_in(value: Any, columns: Sequence[str], image: Any, path: Path) -> tuple[str, ...]:
    """Return the texts of a value: a text, an object that holds one, or a list of either."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(text for one in value for text in texts_in(one, columns, image, path))
    key = column(value, columns) if isinstance(value, dict) else None
    if key is None:
        raise DataError(f"The caption of image {image} in {path} is no text: {shown(value)}.")
    return texts_in(value[key], columns, image, path)


def shown(value: Any) -> str:
    """Return the beginning of a value as JSON, for a message."""
    return json.dumps(value)[:80]


def grouped(records: Iterable[Record]) -> list[Record]:
    """Bring the entries of each image together, by the first name of each."""
    images: dict[tuple[str, str], Record] = {}
    for record in records:
        key = next(iter(record.names)), record.name
        before = images.get(key)
        if before is None:
            images[key] = record
            continue
        names = {
            kind: tuple(dict.fromkeys((*before.names.get(kind, ()), *record.names.get(kind, ()))))
            for kind in dict.fromkeys((*before.names, *record.names))
        }
        images[key] = Record(names, before.texts + record.texts, before.split or record.split)
    return list(images.values())
