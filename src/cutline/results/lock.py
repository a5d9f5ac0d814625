"""Write lock: one writer at a time, released by the system when its process ends.

Locks lie in the cache folder, by the file's absolute path, so that nothing lies beside the results.
They hold for the processes of one user on one machine.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cutline.errors import UsageError
from cutline.files import printable
from cutline.results.places import kept_for

__all__ = ["one_at_a_time", "only_writer"]

PATIENCE = 10.0  # seconds that another process may hold a file that is written to now and then


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Be the only process that writes to `path`.

    Raises:
        UsageError: another process is; it is named.
    """
    from filelock import FileLock, Timeout  # which loads asyncio

    place = kept_for(path, "locks")
    lock, holder = FileLock(place.with_suffix(".lock")), place.with_suffix(".pid")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{printable(path)} is being written by another process{_number(holder)}; wait for "
            "its end, or give another name."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise UsageError(
            f"{printable(place.parent)} allows no locks ({error}); set CUTLINE_CACHE to a folder "
            "on a disk of this machine."
        ) from None
    try:
        with suppress(OSError):
            holder.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process changes `path`; where locks do not work, go on without."""
    from filelock import FileLock  # which loads asyncio

    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError, UsageError):
            lock = FileLock(kept_for(path, "lists").with_suffix(".lock"), timeout=PATIENCE)
            stack.enter_context(lock)
        yield


def _number(holder: Path) -> str:
    try:
        return f" ({int(holder.read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""
