"""How a command ends: what becomes of errors and signals.

Exit codes: 0 done; 1 done, but some inputs failed; 2 nothing done; 130 and 143 after Ctrl-C and
SIGTERM.
"""

import io
import os
import signal
import sys
from contextlib import suppress

from cutline.cli.console import complain
from cutline.cli.stops import Stops
from cutline.errors import CutlineError, MissingDependencyError

__all__ = ["run"]

TRAIN = (
    "lightning",
    "onnx",
    "onnx_ir",
    "onnxscript",
    "tensorboard",
    "timm",
    "tokenizers",
    "torch",
    "torchvision",
)
SERVE = ("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn")
EXTRAS = {
    **dict.fromkeys(TRAIN, "train"),
    **dict.fromkeys(SERVE, "serve"),
    "matplotlib": "explain",
}


def run(stops: Stops) -> None:
    """Run the command line; a known error is one sentence, and the exit code is 2."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from cutline.cli.app import app

        app()
    except BaseException as error:
        sys.exit(_exit_code(error, stops))


def _exit_code(error: BaseException, stops: Stops) -> int | str | None:
    """Return the exit code after an exception, and say in a sentence what went wrong.

    What is no known error is raised again.
    """
    stopped = isinstance(error, KeyboardInterrupt)
    if isinstance(error, SystemExit):
        stopped = error.code == 130
        if not (stopped or stops.number):
            return error.code
    if stopped or stops.number:  # an import that was interrupted raises anything
        name = " by SIGTERM" if stops.number == signal.SIGTERM else ""
        complain(f"Stopped{name}.")
        return 128 + (stops.number or signal.SIGINT)
    complain(_sentence(error))
    return 2


def _sentence(error: BaseException) -> str:
    if isinstance(error, CutlineError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is not None:
            return str(MissingDependencyError("This command", extra=extra))
    if isinstance(error, MemoryError):
        return "There is not enough memory; close other programs, or lower --batch-size."
    if isinstance(error, OSError):
        if error.filename:
            return f"{error.filename} cannot be read or written ({error.strerror})."
        _leave_standard_output()
        return f"Standard output cannot be written ({error.strerror or error})."
    raise error


def _leave_standard_output() -> None:
    """Write nowhere what is left, so that Python does not complain of it at its end."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
