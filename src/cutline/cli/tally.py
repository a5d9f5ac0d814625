"""Summary of a captioning run: captions, unsure ones, failures by kind."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cutline.cli.console import complain, say
from cutline.errors import UsageError
from cutline.results import FailureList

__all__ = ["Tally", "duration", "tell_stop"]

LONG = 30  # seconds; a run that takes longer says how long

# Kinds of failure, by what their sentences say.
KINDS = {
    "missing": r"does not exist|matches nothing|holds no pictures|is empty; give names",
    "empty": r"is empty",
    "not allowed to be read": r"may not be read|no permission",
    "no pictures": r"is not a picture|, not a picture",
    "too large": r"pixels|not enough memory",
    "damaged": r"damaged|cut short|truncated",
    "not written": r"not overwritten|cannot be written|may not be written|captions of two|"
    r"left as it is|no caption is|being changed",
}


@dataclass
class Tally:
    """Counts captions and failures; each failure is told as it comes, and listed."""

    captioned: int = 0
    unsure: int = 0
    before: int = 0
    held: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # by kind
    listed: FailureList | None = None
    started: float = field(default_factory=time.monotonic)
    _pictures: set[str] = field(default_factory=set)  # that failed, each of which counts once

    def add(self, image: Path, *, unsure: bool) -> None:
        """Count a caption."""
        self.captioned += 1
        self.unsure += unsure
        self._settle(image)

    def hold(self, image: Path) -> None:
        """Count a caption that is held back."""
        self.held += 1
        self._settle(image)

    def _settle(self, image: Path) -> None:
        if self.listed is not None:
            self.listed.settle(image)

    def fail(self, sentence: str, image: Path | str | None = None, *, told: bool = True) -> None:
        """Count and tell what failed, and list it where it is a picture that did.

        A picture counts once, by its first failure. Without `told` it is only counted.
        """
        if image is None or str(image) not in self._pictures:
            self.failed[_kind(sentence)] += 1
        if image is not None:
            self._pictures.add(str(image))
        if told:
            complain(sentence)
        if image is None or self.listed is None:
            return
        try:
            self.listed.add(image, sentence)
        except UsageError as error:  # told once
            self.listed = None
            complain(str(error))

    def __str__(self) -> str:
        parts = [f"{self.captioned:,} captioned{self._pace()}"]
        parts += [f"{self.unsure:,} unsure"] if self.unsure else []
        parts += [f"{self.held:,} held back"] if self.held else []
        parts += [f"{self.before:,} done before"] if self.before else []
        if self.failed:
            told = ", ".join(f"{times:,} {kind}" for kind, times in self.failed.most_common())
            parts.append(f"{self.failed.total():,} failed: {told}")
        return ", ".join(parts) + "."

    def _pace(self) -> str:
        """Say how long a run took that took long."""
        seconds = time.monotonic() - self.started
        if seconds < LONG or not self.captioned:
            return ""
        return f" in {duration(seconds)} ({self.captioned / seconds:,.1f} a second)"

    @property
    def code(self) -> int:
        """The exit code: 0 done, 1 some inputs failed, 2 nothing done."""
        if not self.failed:
            return 0
        return 1 if self.captioned or self.before or self.held else 2


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(59.6), duration(7384)
    ('1 min 0 s', '2 h 3 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def tell_stop(stop: BaseException, tally: Tally, *, again: bool) -> None:
    """Say what a run had done when it stopped; an error after captions is one of the failures.

    `again`: the same command can go on.
    """
    if isinstance(stop, KeyboardInterrupt):
        more = " The same command with --resume goes on." if again else ""
        say(f"{tally}{more}")
        raise stop
    if not tally.captioned:
        raise stop
    tally.fail(f"{stop} The same command with --resume goes on.")


def _kind(sentence: str) -> str:
    return next((kind for kind, says in KINDS.items() if re.search(says, sentence)), "unreadable")
