"""Backend protocol: encode, start and step, on ONNX Runtime or on PyTorch.

Search, words and files are the same for both. A backend's arrays are its own kind (numpy's, or
PyTorch's on any device); `arrays` says what search may do with them.

Shapes: `B` images, `K` captions an image, `N = B * K`, `S` side in pixels, `R` regions, `D` feature
size, `V` vocabulary.
"""

from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cutline.search import Arrays, Scored
from cutline.search.arrays import Ints

__all__ = ["Backend", "Encoded", "Precision", "Started", "Stepper"]

Precision = Literal["float32", "int8"]
"""Arithmetic of the decoder's products on ONNX Runtime."""

Bytes = NDArray[np.uint8]


class Encoded(NamedTuple):
    """Image features of an encoder, of `B` images: `grid` (B, R, D) and `pooled` (B, D)."""

    grid: Any
    pooled: Any


class Started(NamedTuple):
    """A decoder's initial values: `memory` and the first `state`, a row for each image."""

    memory: Any
    state: Any


class Backend(Protocol):
    """The three parts of a captioner."""

    @property
    def arrays(self) -> Arrays:
        """Operations on the backend's arrays."""

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the regions."""

    def encode(self, pixels: Bytes) -> Encoded:
        """Encode pictures (B, S, S, 3) of bytes, in RGB."""

    def start(self, encoded: Encoded) -> Started:
        """Compute memory and initial state, once for each image."""

    def step(self, words: Ints, state: Any, memory: Any, *, best: int | None) -> Scored:
        """Read words (N,), caption `n` of image `n // K`.

        The scores are for the `best` words of each caption only, or for all (None).
        """


class Stepper:
    """The step of a batch of images, as `cutline.search` calls it."""

    def __init__(self, backend: Backend, memory: Any, best: int | None) -> None:
        self.backend = backend
        self.memory = memory
        self.best = best

    def select(self, images: Ints, /) -> "Stepper":
        """See `cutline.search.SelectableStep`."""
        memory = self.backend.arrays.take(self.memory, images)
        return Stepper(self.backend, memory, self.best)

    def __call__(self, words: Ints, state: Any) -> Scored:
        """See `cutline.search.Step`."""
        return self.backend.step(words, state, self.memory, best=self.best)
