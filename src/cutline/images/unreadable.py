"""Unreadable pictures: skipped and reported, in one place for all that read many pictures."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from cutline.errors import ImageError

__all__ = ["Unreadable", "attempt", "read_each"]

S = TypeVar("S")
T = TypeVar("T")


class Unreadable(NamedTuple):
    """A picture that cannot be read, and the sentence that says why."""

    name: str
    reason: str


def attempt(read: Callable[[S], T], source: S, *, name: str) -> T | Unreadable:
    """Read a picture; whatever is wrong with it is returned, not raised."""
    try:
        return read(source)
    except ImageError as error:
        return Unreadable(name, str(error))
    except (OSError, ValueError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        return Unreadable(name, f"{name} cannot be read ({reason}).")


def read_each(
    sources: Iterable[S],
    read: Callable[[S], T],
    *,
    name: Callable[[S], str],
    failed: Callable[[S, str], None],
) -> Iterator[tuple[S, T]]:
    """Yield each source with what `read` makes of it; `failed` is told of those left out."""
    for source in sources:
        found = attempt(read, source, name=name(source))
        if isinstance(found, Unreadable):
            failed(source, found.reason)
        else:
            yield source, found
