"""Beam search over a batch of images.

Each image has `K` slots. At each step the best candidates over all its slots fill the slots that
are still open; a candidate that ends closes its slot for good. So a beam of width one is greedy,
whatever the length penalty, and an image is done when its slots are closed, or when no open one
can beat the best caption that has ended and only the best is asked for. Images that are done leave
the batch when a quarter of all are (`SHRINK`), so that the others are not held up.

Shapes: `B` images, `K` beam width, `N = B * K` rows.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cutline.search.arrays import NUMPY, Arrays, Flags, Floats, Ints, Step, shrink
from cutline.search.trail import Hypothesis, Trail
from cutline.search.words import Words

__all__ = ["beam"]

NOBODY = np.empty(0, dtype=np.int64)


def beam(
    step: Step,
    state: Any,
    *,
    images: int,
    words: Words,
    max_words: int,
    width: int = 5,
    length_penalty: float = 0.0,
    n_best: int = 1,
    arrays: Arrays = NUMPY,
) -> list[list[Hypothesis]]:
    """Find probable captions; return for each image its `n_best`, best first.

    A caption's score is its log-probability divided by `length ** length_penalty`, the length
    counting the `<end>`. Where nothing has finished after `max_words`, the best unfinished caption
    is returned.

    Args:
        step: the decoder, see `Step`; it is called with `B` rows first and `B * K` afterwards.
        state: its state before the first word, `B` rows.
        images: how many, `B`.
        words: which numbers are special.
        max_words: longest caption.
        width: slots of each image, `K`.
        length_penalty: 0 ranks by log-probability; larger values favour longer captions.
        n_best: how many captions to return, at most `width`.
        arrays: operations of the backend that `step` computes with.
    """
    n_best = min(n_best, width)
    slots = _Slots(images, width, length_penalty, max_words, stop_early=n_best == 1)
    trail = Trail(arrays)
    found: dict[int, list[Hypothesis]] = {}
    current = np.full(images, words.start)
    while slots.steps < max_words and slots.live.any():
        scored = step(current, state)
        log_probs, chosen = arrays.top(scored.scores, width, words.banned)
        parents, current, gained = slots.advance(log_probs, chosen, words.end)
        trail.record_attention(scored)
        trail.record_choice(parents, current, gained)
        open_ = np.flatnonzero(slots.live.any(1))
        smaller = shrink(step, open_, of=len(slots.ended))
        if smaller is not None:
            step = smaller
            found |= slots.hypotheses(trail, n_best, but=open_)
            rows = slots.select(open_)
            trail.select(rows)
            parents, current = parents[rows], current[rows]
        parents, current = slots.repeat_live(parents, current)
        state = arrays.take(scored.state, parents)
    found |= slots.hypotheses(trail, n_best)
    return [found[image] for image in range(images)]


@dataclass
class _Slots:
    """The slots of all images: their log-probabilities (B, K), minus infinity where closed.

    `image` (B,) says which images they are, when some have left.
    """

    images: int
    width: int
    length_penalty: float
    max_words: int
    stop_early: bool
    steps: int = 0
    image: Ints = field(init=False)
    log_probs: Floats = field(init=False)
    ended: list[list[tuple[float, int, int]]] = field(init=False)
    closed: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.image = np.arange(self.images)
        self.log_probs = np.zeros((self.images, 1))
        self.ended = [[] for _ in range(self.images)]
        self.closed = np.zeros((self.images, 1), dtype=np.int64)

    @property
    def live(self) -> Flags:
        return np.isfinite(self.log_probs)

    def advance(self, log_probs: Floats, chosen: Ints, end: int) -> tuple[Ints, Ints, Floats]:
        """Fill the open slots with the best candidates of each image.

        `log_probs` and `chosen` (rows, k) are each row's best words. Returns for each new row its
        parent row, its word and that word's log-probability, (B * K,) each.
        """
        k = chosen.shape[1]
        images = len(self.ended)
        totals = (self.log_probs.reshape(-1, 1) + log_probs).reshape(images, -1)
        order = np.argsort(-totals, axis=1, kind="stable")[:, : self.width]
        if order.shape[1] < self.width:
            order = np.pad(order, ((0, 0), (0, self.width - order.shape[1])))
        place = (order + np.arange(images)[:, None] * totals.shape[1]).reshape(-1)
        kept = totals.reshape(-1)[place].reshape(order.shape)
        # slots that ended candidates have closed, and those for which there was no candidate
        slot = np.arange(self.width)
        kept[(slot >= self.width - self.closed) | (slot >= totals.shape[1])] = -np.inf
        current, gained = chosen.reshape(-1)[place], log_probs.reshape(-1)[place]
        self.log_probs = kept
        self.steps += 1
        self._close(current.reshape(kept.shape) == end)
        return place // k, current, gained

    def _close(self, ends: Flags) -> None:
        for image, slot in zip(*np.nonzero(ends & self.live), strict=True):
            score = self.score(self.log_probs[image, slot])
            self.ended[image].append((score, int(image) * self.width + int(slot), self.steps))
            self.closed[image] += 1
            self.log_probs[image, slot] = -np.inf
        if self.stop_early and self.closed.any():
            best = np.array([max(done)[0] if done else -np.inf for done in self.ended])
            hope = self.log_probs.max(1) / self.max_words**self.length_penalty
            self.log_probs[best >= hope] = -np.inf

    def repeat_live(self, *rows: Ints) -> tuple[Ints, ...]:
        """Let closed slots repeat an open one of their image: what steps may see that they do."""
        live = self.live
        if live.all():
            return rows
        slot = np.where(live, np.arange(self.width), live.argmax(1)[:, None])
        chosen = (np.arange(len(live))[:, None] * self.width + slot).reshape(-1)
        return tuple(each[chosen] for each in rows)

    def select(self, places: Ints) -> Ints:
        """Leave the images at these places only; return their rows.

        What ended in this step is in the trail's last rows, which are about to be fewer.
        """
        moved = (places - np.arange(len(places))) * self.width
        self.image, self.closed = self.image[places], self.closed[places]
        self.log_probs = self.log_probs[places]
        self.ended = [
            [
                (score, row - by * (steps == self.steps), steps)
                for score, row, steps in self.ended[place]
            ]
            for place, by in zip(places.tolist(), moved.tolist(), strict=True)
        ]
        return (places[:, None] * self.width + np.arange(self.width)).reshape(-1)

    def hypotheses(
        self, trail: Trail, n_best: int, but: Ints = NOBODY
    ) -> dict[int, list[Hypothesis]]:
        """Return the hypotheses of all images, but of those at some places."""
        places = np.setdiff1d(np.arange(len(self.ended)), but)
        return {int(self.image[place]): _ranked(self, trail, place, n_best) for place in places}

    def score(self, log_prob: float) -> float:
        return float(log_prob / self.steps**self.length_penalty)


def _ranked(slots: _Slots, trail: Trail, image: int, n_best: int) -> list[Hypothesis]:
    ended = sorted(slots.ended[image], key=lambda entry: -entry[0])[:n_best]
    found = [
        trail.hypothesis(row, steps, finished=True, score=score) for score, row, steps in ended
    ]
    for slot in np.argsort(-slots.log_probs[image], kind="stable"):
        if len(found) == n_best or not np.isfinite(slots.log_probs[image, slot]):
            break
        row = image * slots.log_probs.shape[1] + int(slot)
        score = slots.score(slots.log_probs[image, slot])
        found.append(trail.hypothesis(row, slots.steps, finished=False, score=score))
    return found
