"""`cutline caption --watch`: folders that fill, captioned by one process until it is told to end.

A new picture is read once it has stopped growing: when two looks find it alike, at least `PAUSE`
seconds apart. One that could not be read is tried again when it has changed, or when it had
vanished, with its disk perhaps.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from cutline.cli.captioning import Captioning
from cutline.cli.console import complain, say
from cutline.cli.outputs import Outputs
from cutline.cli.pictures import pictures
from cutline.cli.tally import Tally
from cutline.errors import UsageError
from cutline.files import printable, state_of

__all__ = ["Ending", "check_watchable", "watch"]

PAUSE = 1.0  # seconds between two looks, at least
SHARE = 9  # and so many times as long as a look takes

Facts = tuple[int, ...]


class Ending:
    """The end that Ctrl-C or SIGTERM asked for; a second signal interrupts."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def __call__(self) -> bool:
        """Say whether to end."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the signal."""
        deadline = time.monotonic() + seconds
        while not self() and (left := deadline - time.monotonic()) > 0:
            self._asked.wait(min(left, 0.2))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while within; those that are ignored stay so."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {
            number: handler for number, handler in before.items() if handler != signal.SIG_IGN
        }
        for number, handler in before.items():
            signal.signal(number, partial(self._ask, handler))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, before: object, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set() and callable(before):
            before(number, frame)
        self._asked.set()


class Arrivals:
    """Pictures that are new in folders."""

    def __init__(self, folders: list[str], exclude: list[str]) -> None:
        self._folders = folders
        self._exclude = exclude
        self._growing: dict[str, tuple[Facts, float]] = {}  # and since when they are so
        self._known: set[str] = set()
        self._failed: dict[str, Facts] = {}
        self._missing = False

    def look(self) -> list[Path]:
        """Return the new pictures that have been as they are for `PAUSE` seconds."""
        found = pictures(self._folders, self._exclude)
        self._tell_missing()
        settled, growing = [], {}
        now = time.monotonic()  # before the pictures are looked at
        for path in found.files:
            name = str(path)
            if name in self._known and name not in self._failed:
                continue
            facts = state_of(path)
            if facts is None or self._failed.get(name) == facts:
                continue
            before, since = self._growing.get(name, (None, now))
            if before != facts:
                growing[name] = facts, now
            elif now - since >= PAUSE:
                settled.append(path)
            else:
                growing[name] = facts, since
        self._growing = growing
        return settled

    def took(self, path: Path, *, failed: bool) -> None:
        """Remember a picture; one that failed and is gone is forgotten."""
        facts = state_of(path)
        self._failed.pop(str(path), None)
        if failed and facts is None:
            self._known.discard(str(path))
            return
        self._known.add(str(path))
        if failed and facts is not None:
            self._failed[str(path)] = facts

    def _tell_missing(self) -> None:
        gone = [folder for folder in self._folders if not os.path.isdir(folder)]  # noqa: PTH112
        if gone and not self._missing:
            complain(f"{printable(gone[0])} is not there; it is waited for.")
        if self._missing and not gone:
            say("All folders are there again.")
        self._missing = bool(gone)


def check_watchable(arguments: list[str]) -> None:
    """Refuse what is no folder.

    Raises:
        UsageError: an argument is none.
    """
    for given in arguments:
        if not Path(given).is_dir():
            raise UsageError(
                f"--watch waits for pictures in folders, and {printable(given)} is none; name "
                "folders only."
            )


def watch(
    folders: list[str],
    exclude: list[str],
    outputs: Outputs,
    *,
    captioning: Captioning,
    tally: Tally,
    ending: Ending,
) -> None:
    """Caption what is in folders and what comes, until `ending`."""
    arrivals = Arrivals(folders, exclude)
    captioning.captioner  # noqa: B018 - loaded now: what is wrong with it is told at once
    told = [printable(folder) for folder in folders]
    say(f"Watching {', '.join(told)}; Ctrl-C ends it.")
    while not ending():
        started = time.monotonic()
        new = arrivals.look()
        if new:
            _caption(new, arrivals, outputs, captioning=captioning, tally=tally)
            say(f"{time.strftime('%H:%M:%S')}: {tally}")
        else:
            ending.wait(max(PAUSE, SHARE * (time.monotonic() - started)))


def _caption(
    new: list[Path], arrivals: Arrivals, outputs: Outputs, *, captioning: Captioning, tally: Tally
) -> None:
    todo = outputs.plan(new, tally)
    left = set(todo)
    for row in captioning.rows(todo):
        arrivals.took(row.image, failed=bool(outputs.write(row, tally)))
        left.discard(row.image)
    asked = set(todo)
    for path in new:
        if path not in asked or (path in left and not captioning.stopped()):
            arrivals.took(path, failed=path in left)
