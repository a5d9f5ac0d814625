"""Picture search: files, folders and globs; what is passed over is counted and named."""

import fnmatch
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cutline.files import printable
from cutline.images.kinds import Kind, kind_of_bytes, kind_of_suffix, listed_suffixes
from cutline.images.sources import reason

__all__ = ["FoundImages", "find_images"]

_HEAD = 1024  # bytes that tell what a file is


class FoundImages(NamedTuple):
    """Result of a search: files in the order asked for, and notes on the rest.

    `problems` has a (path, sentence) for what was not found. `notes` are sentences about what was
    passed over on purpose: pictures of kinds that cannot be read, counted, and links not followed.
    """

    files: list[Path]
    problems: list[tuple[str, str]]
    notes: list[str]


def find_images(paths: Iterable[str | Path], *, exclude: Sequence[str] = ()) -> FoundImages:
    """Expand files, folders and globs; each file comes once, where it was first named.

    A file that is named, or matched by a glob, is kept whatever its suffix. A folder gives every
    picture in it and below it that can be read, by suffix, sorted, hidden files and folders left
    out. Links to folders are followed, but no folder is walked twice, and none that the link
    itself lies in.

    Args:
        paths: what is asked for.
        exclude: globs of what is left out: of the name of a file or folder, or with a `/` of its
            path as it was given. What lies in such a folder is left out with it.
    """
    files: dict[str, Path] = {}  # by absolute path; a dict keeps the order
    walk = _Walk(_Excluded(exclude))
    for path in (os.fspath(given) for given in paths):
        before, asked = len(walk.problems), 0
        for asked, file in enumerate(walk.expand(path, path), start=1):  # noqa: B007
            files.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - keeps symbolic links
        if not asked and len(walk.problems) == before and path not in walk.again:
            walk.problems.append((path, walk.nothing_at(path)))
    return FoundImages(list(files.values()), walk.problems, walk.notes())


class _Walk:
    """One walk over all that was asked for; it remembers where it has been."""

    def __init__(self, excluded: "_Excluded") -> None:
        self.problems: list[tuple[str, str]] = []
        self.again: set[str] = set()  # what was asked for and had been walked before
        self._been: set[tuple[int, int]] = set()
        self._excluded = excluded
        self._passed: dict[str, Counter[str]] = {}  # what was asked for: how many of each kind
        self._kinds: dict[str, Kind] = {}
        self._links: list[str] = []  # to folders, still to be followed
        self._unfollowed: list[str] = []

    def expand(self, path: str, asked: str) -> Iterator[Path]:
        """Yield the pictures of one argument."""
        if self._excluded.has(path, asked):
            return
        if path and Path(path).is_dir():
            yield from self._folder(path, asked)
            while self._links:  # last, so that a folder comes by its own name where it has one
                link = self._links.pop(0)
                if _lies_in(link):
                    self._unfollowed.append(link)
                else:
                    yield from self._folder(link, asked)
        elif os.path.lexists(path):
            yield Path(path)
        elif glob.has_magic(path):
            for match in sorted(glob.iglob(path, recursive=True)):  # noqa: PTH207 - may be absolute
                yield from self.expand(match, asked)

    def _folder(self, folder: str, asked: str) -> Iterator[Path]:
        try:
            found = os.stat(folder)  # noqa: PTH116 - as os.scandir, with strings
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(
                (folder, f"{printable(folder)} cannot be listed ({reason(error)}).")
            )
            return
        if (found.st_dev, found.st_ino) in self._been:
            self.again.add(asked)
            return
        self._been.add((found.st_dev, found.st_ino))
        folders = []
        for entry in entries:
            if entry.name.startswith(".") or self._excluded.has(entry.path, asked):
                continue
            if entry.is_dir():
                folders.append(entry)
            elif self._is_picture(entry, asked):
                yield Path(entry.path)
        for entry in folders:
            if entry.is_symlink():
                self._links.append(entry.path)
            else:
                yield from self._folder(entry.path, asked)

    def _is_picture(self, entry: "os.DirEntry[str]", asked: str) -> bool:
        """Tell by the suffix; a suffix of no use is not believed before the bytes say the same."""
        kind = kind_of_suffix(Path(entry.name).suffix)
        if kind is None or kind.readable:
            return kind is not None
        seen = kind_of_bytes(_head(entry.path))
        if kind.name != "RAW" and seen is not None:
            kind = seen
        if kind.readable:
            return True
        self._passed.setdefault(asked, Counter())[kind.name] += 1
        self._kinds[kind.name] = kind
        return False

    def notes(self) -> list[str]:
        """Say what was passed over, a line for each kind, and which links were not followed."""
        said = [
            f"{printable(place)}: {self._count(count, kind)}."
            for place, counts in self._passed.items()
            for kind, count in sorted(counts.items())
            if place not in dict(self.problems)
        ]
        said += [
            f"{printable(link)} is a link to a folder that it lies in; it was not followed."
            for link in self._unfollowed
        ]
        return said + self._excluded.notes()

    def _count(self, count: int, kind: str) -> str:
        were, them = ("file was", "it") if count == 1 else ("files were", "them")
        return f"{count:,} {kind} {were} passed over; {self._kinds[kind].remedy(them)}"

    def nothing_at(self, path: str) -> str:
        """Say why an argument gave no picture."""
        name = printable(path) or "The empty path"
        passed = self._passed.get(path)
        if passed:
            kinds = "; ".join(self._count(count, kind) for kind, count in sorted(passed.items()))
            return f"{name} holds no pictures that can be read here: {kinds}."
        if self._excluded.counts[path]:
            return f"{name} holds no pictures but what --exclude leaves out; give other globs."
        if path and Path(path).is_dir():
            return f"{name} holds no pictures; theirs end in {listed_suffixes()}."
        what = "matches nothing" if glob.has_magic(path) else "does not exist"
        return f"{name} {what}; name a picture, a folder or a glob such as 'photos/*.jpg'."


class _Excluded:
    """Paths that globs leave out, counted by argument."""

    def __init__(self, globs: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._globs = dict.fromkeys(globs, False)  # whether each has matched
        self._names = [
            (given, re.compile(fnmatch.translate(given.rstrip("/").removeprefix("./"))))
            for given in globs
        ]

    def has(self, path: str, asked: str) -> bool:
        """Say whether a file or folder is left out, and count it."""
        if not self._names:
            return False
        path = path.rstrip("/").removeprefix("./")
        name = os.path.basename(path)  # noqa: PTH119 - of the files of a whole library
        for given, pattern in self._names:
            if pattern.fullmatch(path if "/" in given.rstrip("/").removeprefix("./") else name):
                self._globs[given] = True
                self.counts[asked] += 1
                return True
        return False

    def notes(self) -> list[str]:
        """Say how much was left out, and which globs left out nothing."""
        count = self.counts.total()
        what = "file or folder was" if count == 1 else "files and folders were"
        said = [f"{count:,} {what} left out by --exclude."] if count else []
        return said + [
            f"--exclude '{printable(given)}' matches nothing."
            for given, matched in self._globs.items()
            if not matched
        ]


def _lies_in(link: str) -> bool:
    """Tell whether a link leads to a folder that it lies in: to walk it would never end."""
    here = Path(link).parent.resolve()
    return Path(link).resolve() in (here, *here.parents)


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""
