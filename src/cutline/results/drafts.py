"""Drafts that a killed process left beside its files, found and deleted by the next one.

Each process has a mark, which the names of its drafts begin with. While it writes it holds a lock
in the cache folder, of this name; the system releases it when the process ends, however it ends. So
a mark whose lock is free is that of a process which was killed on this machine.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cutline.errors import UsageError
from cutline.files import draft_mark
from cutline.results.places import kept_for

__all__ = ["cleared_drafts"]

KEPT = 90 * 24 * 3600  # seconds for which a killed process is remembered


@contextmanager
def cleared_drafts(files: Iterable[Path]) -> Iterator[None]:
    """Delete what killed processes left beside `files`; within, remember this one as at work."""
    from filelock import FileLock  # which loads asyncio

    try:
        place = kept_for(Path("drafts"), "drafts").parent
    except UsageError:
        yield
        return
    marks = _killed(place)
    if marks:
        _delete(marks, {str(file.parent) for file in files})
    # locked under another name first: whoever finds it by its mark finds it locked
    own = place / f"{draft_mark()}.lock"
    lock = FileLock(own.with_suffix(".new"))
    with suppress(OSError, NotImplementedError):
        lock.acquire(timeout=0)
        own.with_suffix(".new").rename(own)
    try:
        yield
    finally:
        with suppress(OSError):
            own.unlink(missing_ok=True)
            lock.release()


def _killed(place: Path) -> set[str]:
    """Return the marks of processes that were killed."""
    from filelock import FileLock, Timeout

    marks = set()
    for found in place.glob("*.lock"):
        lock = FileLock(found)
        with suppress(Timeout, OSError, NotImplementedError):
            age = time.time() - found.stat().st_mtime
            lock.acquire(timeout=0)
            marks.add(found.stem)
            lock.release()
            if age > KEPT:
                found.unlink(missing_ok=True)
            elif not found.exists():  # some versions of filelock delete it
                found.touch()
    return marks


def _delete(marks: set[str], folders: Iterable[str]) -> None:
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = re.fullmatch(r"\.([0-9a-f]{10})[0-9a-f]{6}\.part", entry.name)
                if found and found.group(1) in marks:
                    with suppress(OSError):
                        os.unlink(entry.path)  # noqa: PTH108 - as os.scandir, with strings
