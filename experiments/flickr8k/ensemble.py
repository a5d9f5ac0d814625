"""Several captioners at once: at each step the mean of their words' probabilities.

python -m experiments.flickr8k.ensemble MODEL MODEL ... --data PATH [--split val]

They need the same words, and may differ in all else. It costs as much as all of them, so that what
it scores is reported apart. Searched for as the first one's configuration says.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from cutline.captioner import Backend, Captioner, Encoded, generate, in_batches, load
from cutline.captioner.backend import Bytes, Started
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError, UsageError
from cutline.metrics import score
from cutline.search import NumpyArrays, Scored, Words
from cutline.search.arrays import Floats, Ints

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")


class Averaged(NumpyArrays):
    """`cutline.search.Arrays` for scores that are log-probabilities already."""

    def log_probs(self, scores: Any, banned: Ints) -> Floats:  # noqa: ARG002
        """See `Arrays.log_probs`."""
        log_probs: Floats = scores
        return log_probs


class Ensemble:
    """A `Backend` of several whose probabilities are averaged; all that goes in has a part of each.

    `looked` is what each one's encoder saw.
    """

    def __init__(
        self, backends: Sequence[Backend], looked: Sequence[Encoded], banned: Ints
    ) -> None:
        self.backends = backends
        self.looked = looked
        self.banned = banned
        self.arrays = Averaged()
        self.grid = backends[0].grid

    def encode(self, pixels: Bytes) -> Encoded:  # noqa: ARG002
        """They have looked, each at pictures of its own size."""
        return self.looked[0]

    def start(self, looked: Encoded) -> Started:  # noqa: ARG002
        """Start each with what it saw."""
        pairs = zip(self.backends, self.looked, strict=True)
        memories, states = zip(*(backend.start(seen) for backend, seen in pairs), strict=True)
        return Started(memories, states)

    def step(self, words: Ints, state: Any, memory: Any, *, best: int | None) -> Scored:  # noqa: ARG002
        """Step each, and average."""
        parts = list(zip(self.backends, state, memory, strict=True))
        steps = [backend.step(words, h, own, best=None) for backend, h, own in parts]
        log_probs = [
            backend.arrays.log_probs(step.scores, self.banned)
            for backend, step in zip(self.backends, steps, strict=True)
        ]
        mean = np.logaddexp.reduce(log_probs) - np.log(len(steps))
        return Scored(mean, tuple(step.state for step in steps))


def captions(captioners: Sequence[Captioner], pictures: Sequence[Any]) -> list[str]:
    """Return a caption of each picture."""
    first = captioners[0]
    words = [one.vocabulary.words(range(len(one.vocabulary))) for one in captioners]
    if any(theirs != words[0] for theirs in words):
        raise UsageError("The models have different words; give models of one vocabulary.")
    banned, found = Words.of(first.vocabulary).banned, []
    for batch in in_batches(pictures, 32):
        looked = [one.encode([one.square(p.open()) for p in batch]) for one in captioners]
        together = Ensemble([one.backend for one in captioners], looked, banned)
        best = generate(together, looked[0], first.vocabulary, first.config.search)
        found += [said[0].text for said in best]
    return found


def main() -> int:
    """Caption a split and score it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.flickr8k.ensemble")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    given = parser.parse_args()
    try:
        examples = open_dataset(given.data).split(given.split)
        said = captions([load(model) for model in given.models], [e.picture for e in examples])
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    by_id = {e.image_id: text for e, text in zip(examples, said, strict=True)}
    scores = score(by_id, {e.image_id: e.captions for e in examples}, metrics=METRICS)
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.corpus.items()))
    print(scores.signature)
    return 0


if __name__ == "__main__":
    sys.exit(main())
