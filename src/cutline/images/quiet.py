"""Silencing of decoders' own messages while pictures are read.

Python's warnings and Pillow's log are silenced by their own means. libtiff alone of the C
libraries prints to file descriptor 2 (libjpeg, libpng, libwebp and openjpeg print nothing through
Pillow): its two handlers are taken out through the very library that Pillow loaded. The descriptor
itself is never redirected: it belongs to all threads, and to the progress bar.
"""

import ctypes
import logging
import threading
import warnings
from importlib.util import find_spec
from typing import Any

__all__ = ["quiet"]

_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")


def _libtiff() -> dict[str, Any]:
    """Return libtiff's setters; none where Pillow was built without it, or with it inside."""
    try:
        library = ctypes.CDLL(find_spec("PIL._imaging").origin)  # type: ignore[union-attr]
        setters = {name: getattr(library, name) for name in _HANDLERS}
    except (OSError, AttributeError):
        return {}
    for setter in setters.values():
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    return setters


class _Quiet:
    """Silence while at least one thread is reading.

    `warnings.catch_warnings` alone is not for threads: two that overlap may restore each other's
    filters and leave them changed for good. So the first in enters it and the last out leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._catch = warnings.catch_warnings()
        self._log = logging.NullHandler()  # without any handler Python prints errors itself
        self._libtiff: dict[str, Any] | None = None
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                logging.getLogger("PIL").addHandler(self._log)
                if self._libtiff is None:
                    self._libtiff = _libtiff()
                self._before = {name: put(None) for name, put in self._libtiff.items()}

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for name, put in (self._libtiff or {}).items():
                    put(self._before[name])
                logging.getLogger("PIL").removeHandler(self._log)
                self._catch.__exit__(None, None, None)


quiet = _Quiet()
