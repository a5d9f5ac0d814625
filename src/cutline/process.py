"""What a process that captions asks of its C library, its threads and its garbage collector.

A batch's activations are tens of megabytes. glibc asks the system for each of them, gives it back,
and asks again for the next layer's, and the system clears every page anew: a third of the time of
encoding a batch of photographs. Kept memory is used again as it is.

PyTorch and timm are a million objects. Python looks through them for garbage, again and again while
they are loaded and twice more at the end, and finds none: a second of a first caption.

A thread of OpenMP that has done its part waits for the others awake, which is the quickest where
there is a core for each. Where other processes have the cores, it takes the very time that the
others need: a folder took six times as long. So threads wait awake for a few microseconds only.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["give_way", "keep_freed_memory", "no_garbage"]

# of <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = -1
_AT_A_TIME = 64 << 20  # bytes that are asked of the system
_SPINS = "1000"  # of a thread that waits, before it sleeps


def keep_freed_memory() -> bool:
    """Keep it from now on, in the whole process; return False where the C library is not glibc.

    The command line does this. A program that captions many pictures with `cutline.load` may.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AT_A_TIME))
    return all(mallopt(name, value) == 1 for name, value in settings)


def give_way() -> None:
    """Let threads that wait sleep; before PyTorch is loaded, and unless the user has said how."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


@contextmanager
def no_garbage() -> Iterator[None]:
    """Look for no garbage within, nor ever again among what is there by the end: modules stay.

    But where Triton is loaded, which complains of what nobody frees.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if "triton" not in sys.modules:
            gc.freeze()
        if was_enabled:
            gc.enable()


def _is_glibc() -> bool:
    # a hundredth of the time of `platform.libc_ver`, which reads the whole interpreter
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):
        return False
