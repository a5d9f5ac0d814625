"""Compiled functions: `torch.compile` where its seconds pay, in a long training.

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
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import torch

__all__ = ["Compilable", "compiled_instead_of", "compiler", "compiling"]

PLACE = "TORCHINDUCTOR_CACHE_DIR"
# graphs are kept in pickles, and processes that compile side by side are more than a loop needs
OPTIONS: dict[str, Any] = {"fx_graph_cache": False, "compile_threads": 1}
# variants of a function (one image, one caption, another type); beyond them it is not run slowly
LIMITS = {"recompile_limit": 16, "fail_on_recompile_limit_hit": True}

P = ParamSpec("P")
T = TypeVar("T")


class _Switch:
    """Switch of compiled functions, for all of the process."""

    on = False


@contextmanager
def compiling(folder: Path, *, wanted: bool = True) -> Iterator[None]:
    """Compile within, on a CPU, and keep what was made in `folder`.

    Where that fails a warning says so, and all goes on without. Nothing is done unless `wanted`.
    """
    with ExitStack() as stack:
        if wanted:
            try:
                _prepare(stack, folder)
            except Exception as error:
                _say(error)
        yield


def _prepare(stack: ExitStack, folder: Path) -> None:
    from torch._dynamo import config

    limits = {name: value for name, value in LIMITS.items() if hasattr(config, name)}
    stack.enter_context(config.patch(limits))
    log = logging.getLogger("torch.utils.cpp_extension")  # it looks for CUDA, and says so
    stack.callback(log.setLevel, log.level)
    log.setLevel(logging.ERROR)
    if not any(character.isspace() for character in str(folder.absolute())):  # g++ gets it unquoted
        stack.callback(_put_back, PLACE, os.environ.get(PLACE))
        os.environ[PLACE] = str(folder.absolute())
    stack.callback(setattr, _Switch, "on", _Switch.on)
    _Switch.on = True


def _put_back(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def compiler() -> str | None:
    """Return the C++ compiler that PyTorch would call, or None: it is not there."""
    default = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    words = shlex.split(os.environ.get("CXX") or default)
    return shutil.which(words[0]) if words else None


class Compilable(Generic[P, T]):
    """A function of tensors, compiled where that is on; elsewhere `otherwise` does its work."""

    def __init__(self, function: Callable[P, T], otherwise: Callable[P, T]) -> None:
        self.function = function
        self.otherwise = otherwise
        self.compiled: Callable[P, T] | None = None
        self.failed = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function says of the arguments, the first a tensor."""
        first: Any = args[0]
        if _Switch.on and not self.failed and first.device.type == "cpu":
            try:
                if self.compiled is None:
                    self.compiled = torch.compile(self.function, dynamic=True, options=OPTIONS)
                return self.compiled(*args, **kwargs)
            except Exception as error:
                self.failed = True
                _say(error)
        return self.otherwise(*args, **kwargs)


def compiled_instead_of(
    otherwise: Callable[P, T],
) -> Callable[[Callable[P, T]], Compilable[P, T]]:
    """Decorate a function that would be slow uncompiled; `otherwise` computes the same."""

    def decorate(function: Callable[P, T]) -> Compilable[P, T]:
        return Compilable(function, otherwise)

    return decorate


def _say(error: Exception) -> None:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    warnings.warn(
        f"PyTorch's compiler does not work here ({reason[0]}); going on without it.", stacklevel=3
    )
