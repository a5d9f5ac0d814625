r"""Image names: which names in two files mean the same picture.

A name is compared as written, by the end of its path, by its base name, without its ending, and
by its number: `photos\COCO_val2014_000000000007.jpg`, `000000000007`, `7.0` and `7` are one.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

from cutline.data.readers.files import is_picture
from cutline.data.results.records import Record

__all__ = ["FORMS", "Finder", "Pairing", "pair", "rival"]

# Numbers of an image's row or of its sentences: nearly any number is one of them.
_RUNNING = ("imgid", "sentids")
_NUMBER = re.compile(r"(?:COCO_\w+_|VizWiz_\w+_)?0*(\d{1,30})(?:\.0*)?")


def _tail(name: str, count: int = 0) -> str:
    """Return the last parts of a path or address, all of them by default."""
    if name.isascii() and "/" not in name and "\\" not in name:
        return name
    parts = re.split(r"[/\\]", name.split("?", maxsplit=1)[0] if "://" in name else name)
    tail = "/".join([part for part in parts if part not in ("", ".")][-count:])
    return unicodedata.normalize("NFC", tail)  # an Apple disk keeps letters and accents apart


def _base(name: str) -> str:
    return _tail(name, 1)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] if is_picture(name) else name


def _number(name: str) -> str:
    stem = _stem(_base(name))
    match = _NUMBER.fullmatch(stem)
    return match[1] if match else stem


# From the strictest to the loosest.
FORMS: dict[str, Callable[[str], str]] = {
    "as written": lambda name: name,
    "path": _tail,
    "the last three parts of the path": partial(_tail, count=3),
    "the last two parts of the path": partial(_tail, count=2),
    "base name": _base,
    "the last two parts of the path without the ending": lambda name: _stem(_tail(name, 2)),
    "base name without its ending": lambda name: _stem(_base(name)),
    "number": _number,
}

# What only differs from the name as written where that is a path.
_OF_PATHS = [form for form in FORMS if "path" in form]


def spelling(name: str) -> str:
    """Return a name so that two ways to write one name are equal, and no two names are."""
    return re.sub(r"\A(\d+)\.0+\Z", r"\1", _tail(name) or name)


class Pairing(NamedTuple):
    """Result of matching by one kind of name: captions, their references, what is unclear.

    `names` has the name used and `found` the place in the references (or None) of each caption;
    `unclear` lists, by place in the captions, the images among which a name does not choose.
    """

    kind: str
    form: str
    names: list[str]
    found: list[int | None]
    unclear: dict[int, list[str]]

    @property
    def asked(self) -> int:
        """Number of captions that found images, ambiguous ones included."""
        return sum(place is not None for place in self.found) + len(self.unclear)


class Finder:
    """Finds images by one kind of name in one form."""

    def __init__(self, names: Iterable[tuple[str, int]], form: str) -> None:
        self.form = FORMS[form]
        self.places: dict[str, dict[int, str]] = defaultdict(dict)
        for name, place in names:
            self.places[self.form(name)].setdefault(place, name)

    def find(self, name: str) -> dict[int, str]:
        """Return the places and names of all images that answer to this one."""
        return self.places.get(self.form(name), {})


def pair(captions: Sequence[Record], references: Sequence[Record]) -> Pairing:
    """Find the references of each caption, by the kind and form of name that finds most.

    Of equals the stricter form and the earlier kind is taken. Running numbers count only where
    nothing else finds half.
    """
    best: Pairing | None = None
    kinds = _kinds(references)
    for running in (False, True):
        tried = [kind for kind in kinds if (kind in _RUNNING) is running]
        for form, ours, theirs in product(FORMS, _kinds(captions), tried):
            if form in _OF_PATHS and not _has_paths(captions, ours):
                continue
            made = _paired(captions, references, ours, theirs, form)
            if best is None or _worth(made) > _worth(best):
                best = made
            if best.asked == len(captions) and not best.unclear:
                return best
        if best is not None and 2 * best.asked >= len(captions):
            break
    assert best is not None
    return best


def rival(made: Pairing, references: Sequence[Record]) -> str | None:
    """Return another kind of name that finds all captions too, but other images."""
    if None in made.found:
        return None
    asked = [Record({"": (name,)}, ()) for name in made.names]
    for kind in _kinds(references):
        if kind not in (made.kind, "sentids"):
            other = _paired(asked, references, "", kind, made.form)
            if None not in other.found and other.found != made.found:
                return kind
    return None


def _has_paths(captions: Sequence[Record], kind: str) -> bool:
    names = (name for caption in captions for name in caption.names.get(kind, ()))
    return any("/" in name or "\\" in name for name in names)


def _worth(made: Pairing) -> tuple[int, int]:
    return made.asked, -len(made.unclear)


def _kinds(records: Sequence[Record]) -> list[str]:
    """Return the kinds of names, those first that come first in an entry."""
    kinds = dict.fromkeys(kind for record in records for kind in record.names)
    return list(kinds)


def _paired(
    captions: Sequence[Record], references: Sequence[Record], ours: str, theirs: str, form: str
) -> Pairing:
    finder = Finder(
        ((name, at) for at, one in enumerate(references) for name in one.names.get(theirs, ())),
        form,
    )
    found: list[int | None] = []
    unclear: dict[int, list[str]] = {}
    askers: dict[int, dict[str, str]] = defaultdict(dict)
    names = [caption.names.get(ours, (caption.name,))[0] for caption in captions]
    for at, name in enumerate(names):
        places = finder.find(name)
        found.append(next(iter(places)) if len(places) == 1 else None)
        if len(places) > 1:
            unclear[at] = list(places.values())
        elif places:
            askers[next(iter(places))].setdefault(spelling(name), name)
    several = {place: asked for place, asked in askers.items() if len(asked) > 1}
    for at, place in enumerate(found):
        if place in several:
            unclear[at] = list(several[place].values())
            found[at] = None
    return Pairing(theirs, form, names, found, unclear)
