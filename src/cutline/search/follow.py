"""Greedy search and sampling: one word chosen for each caption at each step.

Shapes: `B` images, `N` captions, `V` vocabulary.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cutline.errors import UsageError
from cutline.search.arrays import NUMPY, Arrays, Floats, Ints, Scored, Step, shrink
from cutline.search.trail import Hypothesis, Trail
from cutline.search.words import Words

__all__ = ["greedy", "sample"]

Choose = Callable[[Scored], tuple[Ints, Floats]]


def greedy(
    step: Step,
    state: Any,
    *,
    images: int,
    words: Words,
    max_words: int,
    arrays: Arrays = NUMPY,
) -> list[Hypothesis]:
    """Take the most probable word at each step, for all images at once.

    Args:
        step: the decoder, see `Step`.
        state: its state before the first word, `images` rows.
        images: how many, `B`.
        words: which numbers are special.
        max_words: longest caption; one without an end by then is returned unfinished.
        arrays: operations of the backend that `step` computes with.
    """

    def best(scored: Scored) -> tuple[Ints, Floats]:
        log_probs, chosen = arrays.top(scored.scores, 1, words.banned)
        return chosen[:, 0], log_probs[:, 0]

    return _follow(
        step, state, best, rows=images, words=words, max_words=max_words, arrays=arrays, alone=True
    )


def sample(
    step: Step,
    state: Any,
    *,
    images: int,
    words: Words,
    max_words: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    samples: int = 1,
    seed: int = 0,
    arrays: Arrays = NUMPY,
) -> list[list[Hypothesis]]:
    """Draw captions word by word; `samples` for each image.

    `temperature` divides the scores (below 1: safer); `top_k` keeps the k best words; `top_p` keeps
    the fewest best words that hold this share of the probability (Holtzman et al. 2020, arXiv
    1904.09751, section 3.1). The log-probabilities reported are the model's own, before any of it.
    """
    _check(temperature, top_k, top_p)
    generator = np.random.default_rng(seed)

    def draw(scored: Scored) -> tuple[Ints, Floats]:
        log_probs = arrays.log_probs(scored.scores, words.banned)
        chosen = _draw(log_probs, generator, temperature, top_k, top_p)
        return chosen, np.take_along_axis(log_probs, chosen[:, None], 1)[:, 0]

    rows = np.repeat(np.arange(images), samples)
    found = _follow(
        step,
        arrays.take(state, rows),
        draw,
        rows=len(rows),
        words=words,
        max_words=max_words,
        arrays=arrays,
    )
    return [found[i * samples : (i + 1) * samples] for i in range(images)]


def _follow(
    step: Step,
    state: Any,
    choose: Choose,
    *,
    rows: int,
    words: Words,
    max_words: int,
    arrays: Arrays,
    alone: bool = False,
) -> list[Hypothesis]:
    """Follow each row; with `alone`, one of each image, images that are done leave the batch."""
    trail = Trail(arrays)
    caption = np.arange(rows)  # which one each row is of
    found: dict[int, Hypothesis] = {}
    current = np.full(rows, words.start)
    ended = np.zeros(rows, dtype=np.int64)  # the number of steps until <end>, 0 while there is none
    steps = 0

    def finish(some: Ints) -> None:
        for row in some:
            end = int(ended[row])
            found[int(caption[row])] = trail.hypothesis(row, end or steps, finished=end > 0)

    while steps < max_words and not ended.all():
        scored = step(current, state)
        state = scored.state
        current, log_probs = choose(scored)
        trail.record_attention(scored)
        trail.record_choice(np.arange(len(caption)), current, log_probs)
        steps += 1
        ended[(ended == 0) & (current == words.end)] = steps
        open_ = np.flatnonzero(ended == 0)
        smaller = shrink(step, open_, of=len(ended)) if alone else None
        if smaller is not None:
            step = smaller
            finish(np.flatnonzero(ended))
            trail.select(open_)
            current, ended, caption = current[open_], ended[open_], caption[open_]
            state = arrays.take(state, open_)
    finish(np.arange(len(caption)))
    return [found[number] for number in range(rows)]


def _check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not temperature > 0:
        raise UsageError(
            f"temperature is {temperature}; give a number above 0, or search greedily for the "
            "most probable words."
        )
    if top_k is not None and top_k < 1:
        raise UsageError(f"top_k is {top_k}; give 1 or more, or leave it out for all words.")
    if top_p is not None and not 0 < top_p <= 1:
        raise UsageError(f"top_p is {top_p}; give a share above 0 and at most 1.")


def _draw(
    log_probs: Floats,
    generator: np.random.Generator,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Ints:
    """Draw one word of each row (N, V) by inverting its cumulative distribution, best first."""
    order = np.argsort(-log_probs, axis=1, kind="stable")
    scores = np.take_along_axis(log_probs, order, 1).astype(np.float64)
    with np.errstate(over="ignore"):  # the best word's is 0, so the rest may fall without end
        probs = np.exp((scores - scores[:, :1]) / temperature)
    if top_k is not None:
        probs[:, top_k:] = 0
    probs /= probs.sum(1, keepdims=True)
    if top_p is not None:
        before = probs.cumsum(1) - probs
        probs[before >= top_p] = 0
    cumulative = probs.cumsum(1)
    mark = generator.random((len(probs), 1)) * cumulative[:, -1:]
    place = (cumulative <= mark).sum(1)
    return np.take_along_axis(order, place[:, None], 1)[:, 0]
