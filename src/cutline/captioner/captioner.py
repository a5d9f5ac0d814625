"""Captioner: caption pictures with a loaded model.

Shapes: `S` side of the encoder's input.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from cutline.captioner.backend import Backend, Encoded
from cutline.captioner.caption import Caption
from cutline.captioner.folder import ModelConfig
from cutline.captioner.generation import generate
from cutline.captioner.sureness import Sureness
from cutline.captioner.timings import Timings
from cutline.config import SearchConfig, change_search
from cutline.images import Source, read_image
from cutline.images.unreadable import read_each
from cutline.preprocessing import Area
from cutline.vocabulary import Vocabulary

__all__ = ["Captioner", "Square", "in_batches"]

ImageLike = Source
T = TypeVar("T")


class Square(NamedTuple):
    """A picture ready for the encoder: bytes (S, S, 3), and which part of the picture they show."""

    pixels: NDArray[np.uint8]
    area: Area


class Captioner:
    """A trained captioner.

    >>> import cutline
    >>> captioner = cutline.load("runs/demo/model")             # doctest: +SKIP
    >>> captioner.caption("photo.jpg").text                     # doctest: +SKIP
    'a large red circle and a small blue square'
    """

    def __init__(
        self,
        config: ModelConfig,
        backend: Backend,
        vocabulary: Vocabulary,
        *,
        sureness: Sureness | None = None,
        name: str = "model",
    ) -> None:
        self.config = config
        self.backend = backend
        self.vocabulary = vocabulary
        self.sureness = sureness
        self.name = name
        self.timings = Timings()

    @overload
    def caption(self, images: Sequence[ImageLike], **search: Any) -> list[Caption]: ...

    @overload
    def caption(self, images: ImageLike, **search: Any) -> Caption: ...

    def caption(
        self, images: ImageLike | Sequence[ImageLike], **search: Any
    ) -> Caption | list[Caption]:
        """Caption one picture, or a list of them in batches.

        Args:
            images: a path, bytes, a file opened with `rb`, a PIL image, a numpy array (H, W, 3) of
                uint8, or a list of such.
            search: changes to the model's own search: `beam`, `length_penalty`, `max_words`.

        Raises:
            ImageError: a picture cannot be read.
        """
        if isinstance(images, list | tuple):
            squares = (self.square(image) for image in images)
            return [best[0] for best in self.caption_squares(squares, self.search(**search))]
        single = [self.square(images)]  # type: ignore[arg-type]
        return next(iter(self.caption_squares(single, self.search(**search))))[0]

    def n_best(self, image: ImageLike, n: int, **search: Any) -> list[Caption]:
        """Return up to `n` different captions of a picture from one beam, best first."""
        plan = self.search(**{"beam": max(n, self.config.search.beam), **search})
        return next(iter(self.caption_squares([self.square(image)], plan, n_best=n)))

    def search(self, **changes: Any) -> SearchConfig:
        """Return the model's own search with `changes`; an unknown field is a `UsageError`."""
        given = {key: value for key, value in changes.items() if value is not None}
        return change_search(self.config.search, given)

    def square(self, image: ImageLike, *, strict: bool = False, name: str | None = None) -> Square:
        """Read a picture and make it square; small, so that many fit into memory.

        `strict` refuses one that lacks its end, however little; `name` is what messages call it.
        """
        preprocessing = self.config.preprocessing
        with self.timings.part("read"):
            picture = read_image(image, shrink_to=preprocessing.size, name=name, strict=strict)
        with self.timings.part("resize"):
            return Square(preprocessing.square(picture), preprocessing.area(*picture.size))

    def caption_squares(
        self,
        squares: Iterable[Square],
        search: SearchConfig,
        *,
        n_best: int = 1,
        batch_size: int = 16,
    ) -> Iterable[list[Caption]]:
        """Caption squares as they come, `batch_size` at a time; the `n_best` of each."""
        for batch in in_batches(squares, batch_size):
            yield from self._batch(batch, search, n_best)

    def caption_each(
        self,
        sources: Iterable[T],
        read: Callable[[T], Square],
        search: SearchConfig,
        *,
        name: Callable[[T], str],
        failed: Callable[[T, str], None],
        batch_size: int = 16,
    ) -> Iterator[tuple[T, Caption]]:
        """Yield each source with its caption; `failed` is told of those that `read` cannot read."""
        waiting: deque[T] = deque()

        def squares() -> Iterator[Square]:
            for source, square in read_each(sources, read, name=name, failed=failed):
                waiting.append(source)
                yield square

        for found in self.caption_squares(squares(), search, batch_size=batch_size):
            yield waiting.popleft(), found[0]

    def encode(self, squares: Sequence[Square]) -> Encoded:
        """Return the encoder's features of squares, in the backend's arrays."""
        with self.timings.part("encode"):
            return self.backend.encode(np.stack([square.pixels for square in squares]))

    def pooled(self, squares: Sequence[Square]) -> NDArray[np.floating]:
        """Return the pooled features (B, D) of squares."""
        return self.backend.arrays.numpy(self.encode(squares).pooled)

    def _batch(
        self, squares: list[Square], search: SearchConfig, n_best: int
    ) -> list[list[Caption]]:
        encoded = self.encode(squares)
        areas = [square.area for square in squares]
        with self.timings.part("search"):
            found = generate(
                self.backend, encoded, self.vocabulary, search, n_best=n_best, areas=areas
            )
        if self.sureness is None:
            return found
        pooled = self.backend.arrays.numpy(encoded.pooled)
        novelty = self.sureness.familiar.novelty(pooled).tolist()
        return [self.sureness.judge(*of) for of in zip(found, novelty, strict=True)]


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items, the last of what is left (`itertools.batched`, Python 3.12)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
