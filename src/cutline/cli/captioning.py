"""Captioning the pictures of a run as they are read, with a captioner that is loaded once."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cutline.cli.console import bar, say
from cutline.cli.lists import Precision
from cutline.cli.tally import Tally, duration
from cutline.results import Row

if TYPE_CHECKING:
    from cutline.captioner import Captioner

__all__ = ["Captioning", "Plan", "progress"]

EVERY = 60.0  # seconds between lines of progress where there is no terminal


class Plan(NamedTuple):
    """Options of a run: `strict` refuses cut pictures, `timed` prints timings, `bar` shows one."""

    folder: Path
    precision: Precision
    beam: int | None
    batch_size: int
    threads: int | None
    strict: bool
    timed: bool
    bar: bool


class Captioning:
    """Captions pictures by a plan; the model is loaded when the first is asked for.

    Args:
        plan: how.
        tally: what becomes of the pictures; those that cannot be read are told and counted.
        stopped: says whether to read no further picture.
    """

    def __init__(
        self, plan: Plan, tally: Tally, *, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._plan = plan
        self._tally = tally
        self.stopped = stopped

    @cached_property
    def captioner(self) -> "Captioner":
        """The model."""
        started = time.perf_counter()
        from cutline.captioner import load

        imported = time.perf_counter()
        plan = self._plan
        found = load(plan.folder, precision=plan.precision.value, threads=plan.threads)
        found.timings |= {"import": imported - started, "load": time.perf_counter() - imported}
        return found

    def rows(self, paths: list[Path]) -> Iterator[Row]:
        """Caption pictures as they are read."""
        search = self.captioner.search(beam=self._plan.beam)
        with progress(len(paths), shown=self._plan.bar) as advance:

            def failed(path: Path, reason: str) -> None:
                self._tally.fail(reason, path)
                advance(1)

            for path, caption in self.captioner.caption_each(
                takewhile(lambda _: not self.stopped(), paths),
                partial(self.captioner.square, strict=self._plan.strict),
                search,
                name=str,
                failed=failed,
                batch_size=self._plan.batch_size,
            ):
                yield Row(path, caption, self.captioner.name)
                advance(1)

    def tell_timings(self) -> None:
        """Say where the time went, if it was asked."""
        if self._plan.timed:
            say(f"Time: {self.captioner.timings}.")


@contextmanager
def progress(total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; elsewhere say every minute how far it is, and how much is left."""
    started = told = time.monotonic()
    done = 0
    with bar("captions", total, wanted=shown) as advance:

        def advanced(steps: int) -> None:
            nonlocal done, told
            done += steps
            advance(steps)
            now = time.monotonic()
            if now - told >= EVERY and not sys.stderr.isatty():
                told = now
                say(_how_far(done, total, now - started))

        yield advanced


def _how_far(done: int, total: int, seconds: float) -> str:
    """Return a line of progress.

    >>> _how_far(1200, 100_000, 60.0)
    '1,200 of 100,000, 20.0 a second, 1 h 22 min left.'
    """
    left = duration((total - done) * seconds / done)
    return f"{done:,} of {total:,}, {done / seconds:,.1f} a second, {left} left."
