"""timm without PyTorch's compiler, which nobody asked for.

timm loads torchvision, and one line of torchvision (`ops/roi_align.py`) loads `torch._dynamo` to
ask it a question later; so does timm, to keep one method of one model from being compiled. That is
half of the seconds until a first caption. While the two are loaded a stand-in answers to the name:
it passes the question on when it comes, and leaves the method as it is.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

__all__ = ["without_compiler"]

NAMES = ("torch._dynamo", "torch._dynamo.utils")


@contextmanager
def without_compiler() -> Iterator[None]:
    """Load timm within; what else is loaded within finds no compiler either."""
    if any(name in sys.modules for name in (*NAMES, "torchvision", "timm")):
        yield
        return
    package, utils = (ModuleType(name) for name in NAMES)
    package.__path__ = []
    utils.is_compile_supported = _ask  # type: ignore[attr-defined]
    package.disable = _leave  # type: ignore[attr-defined]
    sys.modules |= {NAMES[0]: package, NAMES[1]: utils}
    try:
        yield
    finally:
        for name in NAMES:
            del sys.modules[name]
        vars(torch).pop("_dynamo", None)


def _leave(function: Any = None, *_: Any, **__: Any) -> Any:
    return _leave if function is None else function


def _ask(device: Any) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device))
