"""Places in the cache of facts about a user's files."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cutline.errors import UsageError
from cutline.files import cache_folder

__all__ = ["kept_for"]


def kept_for(path: Path, kind: str) -> Path:
    """Return the path, without a suffix, of what is kept of one `kind` for a file or folder.

    Raises:
        UsageError: neither the cache folder nor the folder for temporary files can be written to.
    """
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_of_this_user(folder):
                continue
            (folder / kind).mkdir(parents=True, exist_ok=True)
            if os.access(folder / kind, os.W_OK):
                return folder / kind / name
    raise UsageError("There is no place for caches; set CUTLINE_CACHE to a folder of yours.")


def _is_of_this_user(folder: Path) -> bool:
    """Return whether a folder is this user's: in a shared place anybody may take its name."""
    if not hasattr(os, "getuid"):
        return True
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()


def _folders() -> Iterator[Path]:
    with suppress(RuntimeError):  # a user without a home
        yield cache_folder()
    user = os.getuid() if hasattr(os, "getuid") else ""
    yield Path(tempfile.gettempdir(), f"cutline-{user}")
