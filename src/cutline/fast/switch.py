"""The switch: `CUTLINE_FAST=0` in the environment, or `with disabled():`, turns `fast` off."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["disabled", "enabled"]

VARIABLE = "CUTLINE_FAST"
_off: ContextVar[bool] = ContextVar("cutline_fast_off", default=False)


def enabled() -> bool:
    """Say whether the faster ways are taken now; by default they are."""
    return not _off.get() and os.environ.get(VARIABLE, "1") != "0"


@contextmanager
def disabled() -> Iterator[None]:
    """Within, every decoder goes by its own steps and autograd: slower, to the same losses."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)
