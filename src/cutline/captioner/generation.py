"""Caption generation: search over an encoder's features, decoded to text.

Shapes: `B` images, `T` words, `h x w` the grid.
"""

from collections.abc import Sequence

import numpy as np

from cutline.captioner.backend import Backend, Encoded, Stepper
from cutline.captioner.caption import Caption
from cutline.config import SearchConfig
from cutline.errors import ModelError
from cutline.preprocessing import Area
from cutline.search import Hypothesis, Words, beam, greedy, sample
from cutline.vocabulary import Vocabulary

__all__ = ["generate", "sample_captions"]

WHOLE: Area = (0.0, 0.0, 1.0, 1.0)


def generate(
    backend: Backend,
    encoded: Encoded,
    vocabulary: Vocabulary,
    search: SearchConfig,
    *,
    n_best: int = 1,
    areas: Sequence[Area] | None = None,
) -> list[list[Caption]]:
    """Search for captions of `B` images; return the `n_best` of each, best first."""
    memory, state = backend.start(encoded)
    step = Stepper(backend, memory, best=search.beam)
    images, words = len(encoded.grid), Words.of(vocabulary)
    found: list[list[Hypothesis]]
    if search.beam == 1:
        single = greedy(
            step,
            state,
            images=images,
            words=words,
            max_words=search.max_words,
            arrays=backend.arrays,
        )
        found = [[hypothesis] for hypothesis in single]
    else:
        found = beam(
            step,
            state,
            images=images,
            words=words,
            max_words=search.max_words,
            width=search.beam,
            length_penalty=search.length_penalty,
            n_best=n_best,
            arrays=backend.arrays,
        )
    if not all(found):
        raise ModelError(
            "The model gives no probabilities that are numbers: its weights are broken, though "
            "finite; take another model, or train it again with a lower learning rate."
        )
    return _captions(found, backend.grid, vocabulary, areas)


def sample_captions(
    backend: Backend,
    encoded: Encoded,
    vocabulary: Vocabulary,
    *,
    max_words: int = 30,
    samples: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    areas: Sequence[Area] | None = None,
) -> list[list[Caption]]:
    """Draw `samples` captions for each of `B` images; see `cutline.search.sample`."""
    memory, state = backend.start(encoded)
    found = sample(
        Stepper(backend, memory, best=None),
        state,
        images=len(encoded.grid),
        words=Words.of(vocabulary),
        max_words=max_words,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        samples=samples,
        seed=seed,
        arrays=backend.arrays,
    )
    return _captions(found, backend.grid, vocabulary, areas)


def _captions(
    found: list[list[Hypothesis]],
    grid: tuple[int, int],
    vocabulary: Vocabulary,
    areas: Sequence[Area] | None,
) -> list[list[Caption]]:
    places = areas or [WHOLE] * len(found)
    return [
        [_caption(hypothesis, grid, vocabulary, area) for hypothesis in hypotheses]
        for hypotheses, area in zip(found, places, strict=True)
    ]


def _caption(
    hypothesis: Hypothesis, grid: tuple[int, int], vocabulary: Vocabulary, area: Area
) -> Caption:
    words = tuple(vocabulary.words(hypothesis.words))
    attention = hypothesis.attention
    return Caption(
        text=vocabulary.join(words),
        words=words,
        log_probs=tuple(float(p) for p in hypothesis.log_probs),
        log_prob=hypothesis.log_prob,
        confidence=float(np.exp(hypothesis.log_probs.mean())) if words else 0.0,
        finished=hypothesis.finished,
        attention=None if attention is None else attention.reshape(-1, *grid),
        sentinel=hypothesis.sentinel,
        area=area,
    )
