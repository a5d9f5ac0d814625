"""timm without what nobody asked for: PyTorch's compiler, and torchvision's models.

timm loads torchvision, and one line of torchvision (`ops/roi_align.py`) loads `torch._dynamo` to
ask it a question later; so does timm, to keep one method of one model from being compiled. That is
half of the seconds until a first caption. torchvision also loads all of its models, of which timm
wants two functions, for those who ask for features by name. While the two are loaded stand-ins
answer to the names: they pass questions on when they come, and leave the method as it is.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

__all__ = ["lightly"]

COMPILER = "torch._dynamo"
MODELS = "torchvision.models"


@contextmanager
def lightly() -> Iterator[None]:
    """Load timm within; what else is loaded within finds stand-ins too."""
    compiler, models = _package(COMPILER, "utils"), _package(MODELS, "feature_extraction")
    if any(name in sys.modules for name in (*compiler, *models, "torchvision", "timm")):
        yield
        return
    vars(compiler[COMPILER])["disable"] = _leave
    _later(compiler[f"{COMPILER}.utils"], "is_compile_supported")
    _later(models[f"{MODELS}.feature_extraction"], "create_feature_extractor")
    _later(models[f"{MODELS}.feature_extraction"], "get_graph_node_names")
    sys.modules |= compiler | models
    try:
        yield
    finally:
        for name in (*compiler, *models):
            del sys.modules[name]
        vars(torch).pop("_dynamo", None)
        vision = vars(sys.modules.get("torchvision", ModuleType("none")))
        if vision.pop("models", None) is not None:
            vision["__getattr__"] = _models


def _package(name: str, part: str) -> dict[str, ModuleType]:
    """Stand in for a package and one of its modules."""
    package = ModuleType(name)
    package.__path__ = []
    return {name: package, f"{name}.{part}": ModuleType(f"{name}.{part}")}


def _later(module: ModuleType, name: str) -> None:
    """Let a function be there which calls the real one when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        real: Callable[..., Any] = getattr(import_module(module.__name__), name)
        return real(*args, **kwargs)

    vars(module)[name] = call


def _leave(function: Any = None, *_: Any, **__: Any) -> Any:
    return _leave if function is None else function


def _models(name: str) -> Any:
    """Find `torchvision.models` for whoever looks for it without loading it."""
    if name == "models":
        return import_module(MODELS)
    raise AttributeError(f"module 'torchvision' has no attribute '{name}'")
