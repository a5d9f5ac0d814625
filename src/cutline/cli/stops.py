"""Signals: Ctrl-C and SIGTERM interrupt, and it is known which it was."""

import os
import signal
import sys
import threading
from types import FrameType

__all__ = ["Stops"]


class Stops:
    """The signal, if any, that asked the process to stop; signals that are ignored stay so.

    Within, the first Ctrl-C or SIGTERM raises KeyboardInterrupt. Afterwards the work is over, and
    they end the process at once.
    """

    number = 0

    def __enter__(self) -> "Stops":
        self._set(self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._set(_end)
        if self.number and kind is not SystemExit:  # before there was anything that says so
            sys.stderr.write("cutline: Stopped.\n")
            sys.exit(128 + self.number)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self.number = number
        raise KeyboardInterrupt

    @staticmethod
    def _set(handler: "signal._HANDLER") -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
