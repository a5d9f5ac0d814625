"""PyTorch's compiler, for a few functions and where its seconds pay: in a long training.

A chain of small operations reads and writes memory at every link; compiled into one loop its
numbers stay in registers. Attention's scores take a quarter of the time, a word's cross-entropy
half. Compiling takes some ten seconds, and less when it was done before, so that a photograph is
captioned without.

    with compiling(folder):
        ...

It needs a C++ compiler. What it makes, C++ and a library of it, is kept in `folder`; PyTorch's own
cache of graphs is pickled, and stays off.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import torch

__all__ = ["Compilable", "compilable", "compiled_instead_of", "compiling", "has_compiler"]

PLACE = "TORCHINDUCTOR_CACHE_DIR"
# graphs are kept in pickles, and processes that compile side by side are more than a loop needs
OPTIONS: dict[str, Any] = {"fx_graph_cache": False, "compile_threads": 1}

P = ParamSpec("P")
T = TypeVar("T")


class _Switch:
    """Whether functions are compiled now, for all of the process."""

    on = False


@contextmanager
def compiling(folder: Path, *, wanted: bool = True) -> Iterator[None]:
    """Compile within, on a CPU, and keep what was made in `folder`.

    Where that fails a warning says so, once, and all goes on without. Nothing is done unless
    `wanted`.
    """
    if not wanted:
        yield
        return
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for CUDA
    place, on = os.environ.get(PLACE), _Switch.on
    os.environ[PLACE], _Switch.on = str(folder), True
    try:
        yield
    finally:
        _Switch.on = on
        if place is None:
            os.environ.pop(PLACE, None)
        else:
            os.environ[PLACE] = place


def has_compiler() -> bool:
    """Say whether there is the C++ compiler that PyTorch would call."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


class Compilable(Generic[P, T]):
    """A function of tensors, compiled where that is on; elsewhere `otherwise` does its work."""

    def __init__(self, function: Callable[P, T], otherwise: Callable[P, T]) -> None:
        self.function = function
        self.otherwise = otherwise
        self.compiled: Callable[P, T] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function says of the arguments, the first a tensor."""
        first: Any = args[0]
        if not _Switch.on or first.device.type != "cpu":
            return self.otherwise(*args, **kwargs)
        if self.compiled is None:
            self.compiled = torch.compile(self.function, dynamic=True, options=OPTIONS)
        try:
            return self.compiled(*args, **kwargs)
        except Exception as error:  # whatever the compiler has to say
            _Switch.on = False
            reason = str(error).strip().splitlines() or [type(error).__name__]
            warnings.warn(
                f"PyTorch's compiler does not work here ({reason[0]}); going on without it.",
                stacklevel=2,
            )
            return self.otherwise(*args, **kwargs)


def compilable(function: Callable[P, T]) -> Compilable[P, T]:
    """Decorate a function that does its own work uncompiled, too."""
    return Compilable(function, function)


def compiled_instead_of(
    otherwise: Callable[P, T],
) -> Callable[[Callable[P, T]], Compilable[P, T]]:
    """Decorate a function that would be slow uncompiled; `otherwise` computes the same."""

    def decorate(function: Callable[P, T]) -> Compilable[P, T]:
        return Compilable(function, otherwise)

    return decorate
