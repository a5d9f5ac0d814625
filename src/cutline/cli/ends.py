"""How a command ends: what becomes of errors and signals.

Exit codes: 0 done; 1 done, but some inputs failed; 2 nothing done; 130 and 143 after Ctrl-C and
SIGTERM.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from cutline.cli.console import complain
from cutline.errors import CutlineError, MissingDependencyError
from cutline.files import printable

__all__ = ["Stops", "exit_code", "stops"]

EXTRAS = {"torch": "train", "timm": "train", "lightning": "train", "matplotlib": "explain"}


class Stops:
    """Which signal, if any, asked the process to stop."""

    number = 0

    def handle(self, number: int, _: FrameType | None) -> None:
        """Interrupt what is going on, as Ctrl-C does."""
        self.number = number
        raise KeyboardInterrupt


@contextmanager
def stops() -> Iterator[Stops]:
    """Let SIGTERM end a command like Ctrl-C while within; signals that are ignored stay so."""
    seen, before = Stops(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, seen.handle)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(error: BaseException, seen: Stops) -> int | str | None:
    """Return the exit code after an exception, and say in a sentence what went wrong.

    What is no known error is raised again.
    """
    stopped = isinstance(error, KeyboardInterrupt)
    if isinstance(error, SystemExit):
        stopped = error.code == 130
        if not (stopped or seen.number):
            return error.code
    if stopped or seen.number:  # an import that was interrupted raises anything
        name = " by SIGTERM" if seen.number == signal.SIGTERM else ""
        complain(f"Stopped{name}.")
        return 128 + (seen.number or signal.SIGINT)
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
        where = printable(str(error.filename)) if error.filename else "Standard output"
        _leave_standard_output()
        return f"{where} cannot be read or written ({error.strerror or error})."
    raise error


def _leave_standard_output() -> None:
    """Write nowhere what is left, so that Python does not complain of it at its end."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
