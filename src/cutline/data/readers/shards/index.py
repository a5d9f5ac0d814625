"""Index of shards: which image lies where, with its captions and its split, in an SQLite file.

It is made once and lies in the cache's folder, under a digest of the shards' paths, sizes and
dates:

    shards/<digest>.sqlite    never changed; its existence means the index is whole
    shards/<digest>.part      while it is made, shard by shard; a run that was killed goes on here
    shards/<digest>.lock      held by the process that makes it; others wait
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cutline.data.readers.assemble import clean, hold_out, said_held_out, split_by_hash, split_named
from cutline.data.readers.files import counted
from cutline.data.readers.shards.sample import Findings, Sample, storable
from cutline.errors import DataError, UsageError
from cutline.files import printable

__all__ = ["Index", "Record", "Samples", "open_index"]

VERSION = 1  # of the table; another is another file
SPLITS = ("train", "val", "test")

_NO_CAPTION = "left out {} without captions: {}."
_OTHER_SPLIT = "left out {} of a split that is not train, val or test: {}."
_MERGED = "put the captions of {} with those of an earlier one of the same name: {}."

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, content TEXT);
CREATE TABLE shards (shard INTEGER PRIMARY KEY, findings TEXT);
CREATE TABLE runs (first INTEGER PRIMARY KEY, bytes INTEGER);
CREATE TABLE images (
    image INTEGER PRIMARY KEY, name TEXT, shard INTEGER, place INTEGER, extent INTEGER,
    captions TEXT, split INTEGER, held_out INTEGER);
CREATE UNIQUE INDEX names ON images (name, shard);
"""
_FIELDS = "image, name, shard, place, extent, captions, split"
_INSERT = """
INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET captions = captions || char(10) || excluded.captions
"""

Samples = Callable[[Path, Findings], Iterator[Sample]]


class Record(NamedTuple):
    """Row of one image; `captions` are lines, `split` a place in `SPLITS`."""

    image: int
    name: str
    shard: int
    place: int
    extent: int
    captions: str
    split: int


class Index:
    """An index that is whole, read only; each process has a connection of its own.

    Args:
        path: of the SQLite file.
        shards: the files that it was made of.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self.path = path
        self.shards = list(shards)
        self._connection: tuple[int, sqlite3.Connection] | None = None
        rows = self._all("SELECT name, content FROM facts")
        facts = {name: json.loads(content) for name, content in rows}
        self.notes: list[str] = facts["notes"]
        self.damaged: list[tuple[str, str]] = [(name, why) for name, why in facts["damaged"]]
        self.captions: int = facts["captions"]
        self.pictures: list[str] = facts["pictures"]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_connection": None}

    def of_split(self, split: str) -> NDArray[np.int32]:
        """Return the numbers of a split's images, in their order."""
        found = self._all("SELECT image FROM images WHERE split = ?", SPLITS.index(split))
        return np.sort(np.fromiter((row[0] for row in found), np.int32))

    def records(self, images: Sequence[int]) -> list[Record]:
        """Return the rows of images, in the order asked for."""
        marks = ",".join("?" * len(images))
        found = self._all(f"SELECT {_FIELDS} FROM images WHERE image IN ({marks})", *images)
        by_image = {row[0]: Record(*row) for row in found}
        return [by_image[image] for image in images]

    def starts(self) -> NDArray[np.int32]:
        """Return the first image of each shard that has any."""
        found = self._all("SELECT MIN(image) FROM images GROUP BY shard ORDER BY 1")
        return np.array([row[0] for row in found], np.int32)

    def runs(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the first image of each run, and the bytes that are held to read one of it."""
        found = list(self._all("SELECT first, bytes FROM runs ORDER BY first"))
        firsts, held = zip(*found, strict=True)
        return np.array(firsts, np.int32), np.array(held, np.int64)

    def _all(self, query: str, *given: Any) -> Iterator[Any]:
        if self._connection is None or self._connection[0] != os.getpid():
            address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._connection = (os.getpid(), connection)
        return self._connection[1].execute(query, given)


def open_index(
    shards: Sequence[Path],
    samples: Samples,
    *,
    root: Path,
    splits: Sequence[str | None],
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Index:
    """Return the index of `shards`, from the cache or made now.

    Args:
        shards: files, in their order.
        samples: lists the images of one.
        root: a folder that all lie in; names that occur twice get the rest of the path before them.
        splits: of each shard, train, val or test, or None where the images are held out.
        folder: where caches live.
        progress: called for each shard.

    Raises:
        DataError: no image can be used.
        UsageError: the cache's folder cannot be written.
    """
    stamps = [[str(one.absolute()), *_stamp(one)] for one in shards]
    told = json.dumps([VERSION, samples.__module__, list(splits), stamps])
    digest = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    home = folder / "shards"
    whole, draft = home / f"{digest}.sqlite", home / f"{digest}.part"
    try:
        if not whole.is_file():
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / f"{digest}.lock"):
                if not whole.is_file():
                    _make(draft, shards, samples, root, splits, progress)
                    draft.replace(whole)
        return Index(whole, shards)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"The index of {counted(len(shards), 'shard')} cannot be kept in {printable(home)} "
            f"({reason}); make room, or give another folder with CUTLINE_CACHE=FOLDER."
        ) from error


def _stamp(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _make(
    draft: Path,
    shards: Sequence[Path],
    samples: Samples,
    root: Path,
    splits: Sequence[str | None],
    progress: Callable[[int], None],
) -> None:
    with closing(_begun(draft)) as base:
        done = {number for (number,) in base.execute("SELECT shard FROM shards")}
        for number, (shard, split) in enumerate(zip(shards, splits, strict=True)):
            if number not in done:
                with base:  # one transaction: a shard is there as a whole or not at all
                    _add(base, number, shard, samples, split)
            progress(1)
        with base:
            _finish(base, [shard.relative_to(root).with_suffix("") for shard in shards], root)


def _begun(draft: Path) -> sqlite3.Connection:
    """Open a draft; one that is damaged is begun anew."""
    base = sqlite3.connect(draft)
    try:
        if base.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        if base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
            base.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        base.close()
        for file in (draft, draft.with_name(f"{draft.name}-journal")):
            file.unlink(missing_ok=True)
        base = sqlite3.connect(draft)
        base.executescript(_SCHEMA)
    return base


def _add(
    base: sqlite3.Connection, number: int, shard: Path, samples: Samples, split: str | None
) -> None:
    """Insert the images of one shard, and what was found beside them."""
    found = Findings()
    image = base.execute("SELECT COALESCE(MAX(image) + 1, 0) FROM images").fetchone()[0]
    group = None
    for sample in samples(shard, found):
        captions = [one for text in sample.captions if (one := storable(clean(text)))]
        its = split if sample.split is None else split_named(sample.split)
        name = storable(sample.name)
        if not captions or (its is None and sample.split is not None):
            found.leave(_OTHER_SPLIT if captions else _NO_CAPTION, name)
            continue
        place = SPLITS.index(its or split_by_hash(name))
        row = (image, name, number, sample.place, sample.extent, "\n".join(captions), place)
        merged = base.execute(f"{_INSERT} RETURNING image", (*row, its is None)).fetchone()[0]
        if merged != image:
            found.leave(_MERGED, name)
            continue
        if found.group_bytes and sample.extent != group:
            group = sample.extent
            held = found.group_bytes[group]
            base.execute("INSERT INTO runs VALUES (?, ?)", (image, held))
        elif group is None:
            group = -1
            base.execute("INSERT INTO runs VALUES (?, 0)", (image,))
        image += 1
    base.execute("INSERT INTO shards VALUES (?, ?)", (number, json.dumps(vars(found))))


def _finish(base: sqlite3.Connection, names: Sequence[Path], root: Path) -> None:
    """Make names unique, hold out what chance has not, and write the facts."""
    found = [
        Findings(**json.loads(content))
        for (content,) in base.execute("SELECT findings FROM shards ORDER BY shard")
    ]
    damaged = [
        (str(name), one.damage) for name, one in zip(names, found, strict=True) if one.damage
    ]
    if base.execute("SELECT COUNT(*) FROM images").fetchone() == (0,):
        reasons = [why for _, why in damaged] + _left(found)
        raise DataError(
            f"{root} has {counted(len(names), 'shard')}, but no picture with captions in them"
            f"{': ' + reasons[0] if reasons else ''}; give shards with members such as KEY.jpg and "
            "KEY.txt, or columns such as 'image' and 'caption'."
        )
    notes = [
        f"{one}." for one in dict.fromkeys(f"columns: {f.columns}" for f in found if f.columns)
    ]
    notes += [f"{why}." for _, why in damaged] + _left(found)
    notes += _repeated(base, names) + _held_out(base)
    lines = "SUM(LENGTH(captions) - LENGTH(REPLACE(captions, char(10), '')) + 1)"
    facts = {
        "notes": notes,
        "damaged": damaged,
        "captions": base.execute(f"SELECT {lines} FROM images").fetchone()[0],
        "pictures": [one.picture for one in found],
    }
    base.execute("DELETE FROM facts")
    base.executemany(
        "INSERT INTO facts VALUES (?, ?)", [(name, json.dumps(it)) for name, it in facts.items()]
    )


def _left(found: Iterable[Findings]) -> list[str]:
    """Say what was left out, counted over all shards."""
    together = Findings()
    for one in found:
        for sentence, (count, names) in one.left.items():
            before, known = together.left.get(sentence, (0, []))
            together.left[sentence] = (before + count, [*known, *names][: len(names) or 1])
    return [
        sentence.format(counted(count, "image or member"), _named(count, names))
        for sentence, (count, names) in together.left.items()
    ]


def _named(count: int, names: Sequence[str]) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _repeated(base: sqlite3.Connection, names: Sequence[Path]) -> list[str]:
    """Put the shard's name before those that occur in several shards."""
    again = "SELECT name FROM images GROUP BY name HAVING COUNT(*) > 1"
    count = base.execute(f"SELECT COUNT(*) FROM ({again})").fetchone()[0]
    if not count:
        return []
    first = base.execute(f"{again} LIMIT 3").fetchall()
    where = base.execute(
        "SELECT shard FROM images WHERE name = ? ORDER BY shard LIMIT 2", first[0]
    ).fetchall()
    base.execute("CREATE TEMP TABLE prefixes (shard INTEGER PRIMARY KEY, prefix TEXT)")
    prefixes = [(number, storable(name.as_posix())) for number, name in enumerate(names)]
    base.executemany("INSERT INTO prefixes VALUES (?, ?)", prefixes)
    base.execute(
        f"UPDATE images SET name = (SELECT prefix FROM prefixes WHERE shard = images.shard) "
        f"|| '/' || name WHERE name IN ({again})"
    )
    shards = " and ".join(names[number].as_posix() for (number,) in where)
    return [
        f"{counted(count, 'name')} in several shards, the first in {shards}, so the shard is put "
        f"before the name: {_named(count, [name for (name,) in first])}."
    ]


def _held_out(base: sqlite3.Connection) -> list[str]:
    """Say how many were held out; where chance left val or test empty, choose as files do."""
    counts = dict(
        base.execute("SELECT split, COUNT(*) FROM images WHERE held_out GROUP BY split").fetchall()
    )
    if not counts:
        return []
    if len(counts) < len(SPLITS):
        names = {
            storable(name): image
            for image, name in base.execute("SELECT image, name FROM images WHERE held_out")
        }
        for name, split in hold_out(names).items():
            base.execute(
                "UPDATE images SET split = ? WHERE image = ?", (SPLITS.index(split), names[name])
            )
    return [said_held_out(sum(counts.values()))]
