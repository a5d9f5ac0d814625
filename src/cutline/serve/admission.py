"""Admission control: bounds on concurrent requests and on the bytes of their bodies."""

from collections.abc import Iterator
from contextlib import contextmanager

from cutline.serve.limits import Limits
from cutline.serve.problems import busy

__all__ = ["Admission", "Visit"]

FEWEST_SECONDS, MOST_SECONDS = 1, 60


class Visit:
    """A request that has been taken, and the bytes that it holds."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.held = 0

    def hold(self, count: int) -> None:
        """Hold so many more bytes.

        Raises:
            Problem: all requests together would hold more than is allowed (503).
        """
        self._admission.take(count)
        self.held += count


class Admission:
    """Counts what is being worked on; beyond the limits requests are refused, with 503."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds = 0.1  # that a request takes of the service, on average
        self.inside = 0
        self.held = 0

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Take a request, until it is answered.

        Raises:
            Problem: there are as many as are allowed (503).
        """
        if self.inside >= self._limits.queue:
            raise busy(self.wait(), f"The queue of {self._limits.queue} requests is full")
        visit = Visit(self)
        self.inside += 1
        try:
            yield visit
        finally:
            self.inside -= 1
            self.held -= visit.held

    def take(self, count: int) -> None:
        """Count bytes that are held."""
        if self.held + count > self._limits.held:
            raise busy(self.wait(), "The requests that are being worked on hold too many bytes")
        self.held += count

    def learn(self, seconds: float) -> None:
        """Learn how long the service was busy with one request."""
        self._seconds += 0.1 * (seconds - self._seconds)

    def wait(self) -> int:
        """Return in how many seconds half of what is inside will be done."""
        half = self.inside * self._seconds / 2
        return min(MOST_SECONDS, max(FEWEST_SECONDS, round(half)))
