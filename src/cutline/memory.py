"""Memory that was freed is kept, and no garbage is looked for where there is none.

A batch's activations are tens of megabytes. glibc asks the system for each of them, gives it back,
and asks again for the next layer's, and the system clears every page anew: a third of the time of
encoding a batch of photographs. Kept memory is used again as it is.

PyTorch and timm are a million objects. Python looks through them for garbage, again and again while
they are loaded and twice more at the end, and finds none: a second of a first caption.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_freed_memory", "no_garbage"]

# of <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = -1
_AT_A_TIME = 64 << 20  # bytes that are asked of the system


def keep_freed_memory() -> bool:
    """Keep it from now on, in the whole process; return False where the C library is not glibc.

    The command line does this. A program that captions many pictures with `cutline.load` may.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AT_A_TIME))
    return all(mallopt(name, value) == 1 for name, value in settings)


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
