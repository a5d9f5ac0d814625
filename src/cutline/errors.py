"""Exceptions: everything that Cutline raises on purpose.

    CutlineError
    ├── UsageError              asked for something that does not exist or is not allowed
    ├── DataError               a data set, caption file or result file cannot be used
    ├── ImageError              a picture cannot be read
    │   └── ImageTooLargeError  it has more pixels than are allowed
    ├── ModelError              a model folder is refused
    └── MissingDependencyError  an optional part is not installed

Each message is one sentence (or two) for a person: what was given, what is allowed, and what to
type next. The command line prints it and nothing else.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CutlineError",
    "DataError",
    "ImageError",
    "ImageTooLargeError",
    "MissingDependencyError",
    "ModelError",
    "UsageError",
    "did_you_mean",
    "fault_reason",
    "missing_dependency",
]

_TRAIN = [
    "lightning",
    "onnx",
    "onnx_ir",
    "onnxscript",
    "tensorboard",
    "timm",
    "tokenizers",
    "torch",
    "torchvision",
]
_SERVE = ("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn")
_RAY = ("fsspec", "pyarrow", "ray")
_EXTRAS = {
    **dict.fromkeys(_TRAIN, "train"),
    **dict.fromkeys(_RAY, "ray"),
    **dict.fromkeys(_SERVE, "serve"),
    "matplotlib": "explain",
}


class CutlineError(Exception):
    """Base of every error that Cutline raises on purpose."""


class UsageError(CutlineError):
    """Something was asked for that does not exist or is not allowed."""


class DataError(CutlineError):
    """A data set, caption file or result file cannot be used."""


class ImageError(CutlineError):
    """A picture cannot be read."""


class ImageTooLargeError(ImageError):
    """A picture has more pixels than are allowed."""


class ModelError(CutlineError):
    """A model folder is refused."""


class MissingDependencyError(CutlineError):
    """An optional part of Cutline is not installed; `otherwise` says what can be had without it."""

    def __init__(self, what: str, *, extra: str, otherwise: str = "") -> None:
        more = f" ({otherwise})" if otherwise else ""
        super().__init__(f"{what} needs an optional part: pip install 'cutline[{extra}]'{more}")


def missing_dependency(what: str, error: ModuleNotFoundError) -> MissingDependencyError | None:
    """Return the error that names the optional part with a module; None of any other module."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    return None if extra is None else MissingDependencyError(what, extra=extra)


def fault_reason(message: str) -> str:
    """Return the message of a pydantic fault as a part of a sentence, which the caller ends.

    >>> fault_reason("Value error, give two or more.")
    'give two or more'
    """
    for prefix in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(prefix)
    return message.strip().rstrip(".")


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Say which of `allowed` was probably meant, and list them all.

    >>> did_you_mean("sotf", ["soft", "nic"])
    "did you mean 'soft'? Allowed: nic, soft"
    """
    names = sorted(allowed)
    lower = {name.lower(): name for name in names}
    close = get_close_matches(given, names, n=1) or [
        lower[name] for name in get_close_matches(given.lower(), lower, n=1)
    ]
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Allowed: {', '.join(names)}"
