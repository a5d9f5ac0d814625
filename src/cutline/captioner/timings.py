"""Timings: seconds by part of the work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Timings"]


class Timings(dict[str, float]):
    """Seconds by part, added up: `with timings.part("encode"): ...`."""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of what happens within."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - started

    def __str__(self) -> str:
        total = sum(self.values()) or 1.0
        parts = (f"{name} {spent:.2f} s ({spent / total:.0%})" for name, spent in self.items())
        return ", ".join(parts)
