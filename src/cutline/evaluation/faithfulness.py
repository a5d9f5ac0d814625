"""Faithfulness of attention: deletion and insertion curves of a caption's words.

*Deletion*: the regions that a word's attention weighs most are painted over first, and the word's
probability is read again, after the same words before it. If the word was chosen for what is there,
its probability falls at once, and the area under the curve is small. *Insertion* shows those
regions first, on an otherwise blank picture: the probability rises at once, the area is large. The
same is done in two orders that know nothing of the model, from the centre outwards and at random;
attention that is no better than they says nothing about the caption.

Source: Petsiuk et al. 2018 (RISE, arXiv 1806.07421), the deletion and insertion metrics; here for
each content word of a caption in place of one class for each picture.

Shapes: `B` pictures, `S` side in pixels, `T` words, `R` regions of the `h x w` grid.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import Caption, Captioner
from cutline.captioner.backend import Stepper
from cutline.captioner.captioner import Square, in_batches
from cutline.errors import UsageError
from cutline.search import Words, forced_log_probs

__all__ = ["FRACTIONS", "ORDERS", "Faithfulness", "measure_faithfulness"]

BETWEEN = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75)  # shares of the picture
FRACTIONS = (0.0, *BETWEEN, 1.0)
ORDERS = ("attention", "centre", "random")
BATCH = 32  # altered pictures at a time

# English words that name nothing in a picture; a caption in another language has none of them.
FUNCTION_WORDS = frozenset(
    "a an the is are be being was were has have in on at of with and or to from for by as into "  # noqa: SIM905
    "onto up down out off over its it his her their he she they that which while there this "
    "who".split()
)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Faithfulness:
    """Deletion and insertion curves, means over the content words of captions.

    Attributes:
        deletion: probability of the word, by order (`ORDERS`), at each of `FRACTIONS` painted over.
        insertion: the same, at each of `FRACTIONS` shown.
        deletion_area: area under each deletion curve, for every image: (images,). Small is good.
        insertion_area: likewise; large is good.
        peak: mean of each word's largest attention weight.
        words: number of words measured.
    """

    deletion: dict[str, Floats]
    insertion: dict[str, Floats]
    deletion_area: dict[str, Floats]
    insertion_area: dict[str, Floats]
    peak: float
    words: int

    @property
    def images(self) -> int:
        """Number of images whose caption has a content word."""
        return len(self.deletion_area[ORDERS[0]])

    def to_dict(self) -> dict[str, Any]:
        """Return what `cutline evaluate --json` writes: curves, and areas as means over images."""

        def curves(mean: dict[str, Floats], area: dict[str, Floats]) -> dict[str, Any]:
            return {o: {"area": area[o].mean(), "curve": mean[o].tolist()} for o in ORDERS}

        return {
            "images": self.images,
            "words": self.words,
            "peak": self.peak,
            "fractions": list(FRACTIONS),
            "deletion": curves(self.deletion, self.deletion_area),
            "insertion": curves(self.insertion, self.insertion_area),
        }


def measure_faithfulness(
    captioner: Captioner,
    captioned: Iterable[tuple[Square, Caption]],
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Faithfulness:
    """Measure whether each word of captions depends on where its attention looked.

    A region is painted over in the picture's mean colour. For each content word 36 altered
    pictures are encoded.

    Args:
        captioner: a model that attends.
        captioned: pictures, as `Captioner.square` reads them, each with its caption of that model.
        seed: of the random order.
        progress: called with the number of pictures that are done.

    Raises:
        UsageError: the model does not attend, or no caption has a content word.
    """
    generator = np.random.default_rng(seed)
    curves: list[Floats] = []
    peaks: list[float] = []
    for square, caption in captioned:
        found = _curves(captioner, square, caption, generator)
        if len(found):
            curves.append(found)
            assert caption.attention is not None
            peaks += [float(caption.attention[t].max()) for t in _content(caption)]
        progress(1)
    if not curves:
        raise UsageError("No caption has a content word; there is nothing to measure.")
    by_word = np.concatenate(curves)  # (words, deletion and insertion, orders, fractions)
    by_image = np.stack([of.mean(0) for of in curves])
    mean = by_word.mean(0)
    heights = (by_image[..., 1:] + by_image[..., :-1]) / 2
    area = heights @ np.diff(FRACTIONS)  # trapezoids

    def named(values: Floats) -> dict[str, Floats]:
        return dict(zip(ORDERS, values, strict=True))

    return Faithfulness(
        deletion=named(mean[0]),
        insertion=named(mean[1]),
        deletion_area=named(area[:, 0].T),
        insertion_area=named(area[:, 1].T),
        peak=float(np.mean(peaks)),
        words=len(by_word),
    )


def _curves(
    captioner: Captioner, square: Square, caption: Caption, generator: np.random.Generator
) -> Floats:
    """Return the curves of a caption's content words, (words, 2, orders, fractions)."""
    if caption.attention is None:
        raise UsageError(
            f"{captioner.name} ({captioner.config.decoder.name}) does not attend, so there is no "
            "attention to measure; give a model of dot, soft, hard, spatial or adaptive."
        )
    content = _content(caption)
    if not content:
        return np.empty((0, 2, len(ORDERS), len(FRACTIONS)))
    numbers = {word: n for n, word in enumerate(captioner.vocabulary.all_words)}
    words = np.array([numbers[word] for word in caption.words], dtype=np.int64)
    everything = np.ones(caption.attention.shape[1:], dtype=bool)

    def altered() -> Iterator[NDArray[np.uint8]]:
        yield square.pixels
        yield _paint(square.pixels, everything)
        for t in content:
            ranks = _ranks(caption.attention[t], generator)  # type: ignore[index]
            for cells in (rank < fraction for rank in ranks for fraction in BETWEEN):
                yield _paint(square.pixels, cells)
                yield _paint(square.pixels, ~cells)

    probabilities = np.concatenate(
        [_probabilities(captioner, np.stack(some), words) for some in in_batches(altered(), BATCH)]
    )
    whole, blank = probabilities[:2, content]
    between = probabilities[2:].reshape(len(content), len(ORDERS), len(BETWEEN), 2, len(words))
    curves = np.empty((len(content), 2, len(ORDERS), len(FRACTIONS)))
    for n, t in enumerate(content):
        curves[n, :, :, 1:-1] = np.moveaxis(between[n, ..., t], -1, 0)
        curves[n, 0, :, 0] = curves[n, 1, :, -1] = whole[n]
        curves[n, 1, :, 0] = curves[n, 0, :, -1] = blank[n]
    return curves


def _content(caption: Caption) -> list[int]:
    return [t for t, word in enumerate(caption.words) if word.lower() not in FUNCTION_WORDS]


def _ranks(attention: Floats, generator: np.random.Generator) -> Floats:
    """Return each cell's place in every order, (orders, h, w), from 0 to below 1."""
    height, width = attention.shape
    rows, columns = np.indices(attention.shape)
    off_centre = np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5)
    shuffled = generator.permutation(attention.size)
    orders = np.stack([-attention.ravel(), off_centre.ravel(), shuffled])
    places = orders.argsort(axis=1, kind="stable").argsort(axis=1)
    return (places / attention.size).reshape(len(ORDERS), height, width)


def _paint(pixels: NDArray[np.uint8], cells: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paint cells (h, w) of a picture (S, S, 3) over in its mean colour."""
    rows, columns = (np.arange(len(pixels)) * count // len(pixels) for count in cells.shape)
    covered = cells[rows[:, None], columns[None, :], None]
    return np.where(covered, pixels.mean((0, 1)).round().astype(np.uint8), pixels)


def _probabilities(captioner: Captioner, pixels: NDArray[np.uint8], words: Any) -> Floats:
    """Return the probability of each word (T,) of a caption in every picture, (B, T)."""
    backend = captioner.backend
    memory, state = backend.start(backend.encode(pixels))
    captions = np.tile(words, (len(pixels), 1))
    log_probs = forced_log_probs(
        Stepper(backend, memory, best=None),
        state,
        captions,
        words=Words.of(captioner.vocabulary),
        arrays=backend.arrays,
    )
    return np.exp(log_probs)
