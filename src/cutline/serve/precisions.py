"""Captioners by precision: one from the start, others loaded when they are first asked for."""

import asyncio
from collections.abc import Callable

from cutline.captioner import Captioner, Precision
from cutline.errors import ModelError
from cutline.serve.problems import Problem

__all__ = ["Load", "Precisions"]

Load = Callable[[Precision], Captioner]


class Precisions:
    """The captioners of a service.

    Args:
        captioner: the one that is loaded.
        precision: its own.
        load: loads one of another precision; None: there is no other.
    """

    def __init__(self, captioner: Captioner, precision: Precision, load: Load | None) -> None:
        self._own = precision
        self._load = load
        self._loaded: dict[Precision, Captioner | Problem] = {precision: captioner}
        self._loading: dict[Precision, asyncio.Task[Captioner | Problem]] = {}

    async def of(self, precision: Precision) -> Captioner:
        """Return the captioner of a precision; those who ask while it is loaded wait together.

        The load goes on when none of them waits any more, and its end, or that there is no such
        captioner, is remembered.

        Raises:
            Problem: the model has no such precision (422).
        """
        found = self._loaded.get(precision)
        if found is None:
            if precision not in self._loading:
                self._loading[precision] = asyncio.create_task(self._remember(precision))
            found = await asyncio.shield(self._loading[precision])
        if isinstance(found, Problem):
            raise self._missing(precision)
        return found

    async def _remember(self, precision: Precision) -> Captioner | Problem:
        try:
            if self._load is None:
                raise ModelError("no other is loaded here")
            found: Captioner | Problem = await asyncio.to_thread(self._load, precision)
        except ModelError:
            found = self._missing(precision)
        finally:
            del self._loading[precision]  # a defect, or too little memory, may pass: tried again
        self._loaded[precision] = found
        return found

    def _missing(self, precision: Precision) -> Problem:
        return Problem(
            422,
            "no_such_precision",
            f"The model has no graphs of precision {precision}; leave 'precision' out for "
            f"{self._own}.",
        )
