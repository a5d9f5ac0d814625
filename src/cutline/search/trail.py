"""Back-pointers of a search, and how a caption is read back from them.

Shapes: `N` captions, `R` regions, `T` words.
"""

from dataclasses import dataclass, field

import numpy as np

from cutline.search.arrays import Arrays, Floats, Ints, Scored

__all__ = ["Hypothesis", "Trail"]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A caption that a search found.

    `words` are numbers without `<start>` and `<end>`; `log_probs` (T,) is theirs; `log_prob` is the
    caption's, the `<end>` included when it is `finished`; `score` is what the search ranked by.
    `attention` (T, R) and `sentinel` (T,) are there when the decoder reports them.
    """

    words: list[int]
    log_probs: Floats
    log_prob: float
    score: float
    finished: bool
    attention: Floats | None = None
    sentinel: Floats | None = None


@dataclass
class Trail:
    """Per step: parent row of each choice, its word, its log-probability, the attention."""

    arrays: Arrays
    parents: list[Ints] = field(default_factory=list)
    words: list[Ints] = field(default_factory=list)
    log_probs: list[Floats] = field(default_factory=list)
    attention: list[Floats] = field(default_factory=list)
    sentinel: list[Floats] = field(default_factory=list)

    def record_attention(self, scored: Scored) -> None:
        """Append the attention and the sentinel of a step."""
        if scored.attention is not None:
            self.attention.append(self.arrays.numpy(scored.attention))
        if scored.sentinel is not None:
            self.sentinel.append(self.arrays.numpy(scored.sentinel))

    def record_choice(self, parents: Ints, words: Ints, log_probs: Floats) -> None:
        """Append a choice: for each new row its parent row, word and log-probability."""
        self.parents.append(parents)
        self.words.append(words)
        self.log_probs.append(log_probs)

    def select(self, rows: Ints) -> None:
        """Leave these rows only; hypotheses of the others must have been taken before."""
        self.parents[-1] = self.parents[-1][rows]
        self.words[-1] = self.words[-1][rows]
        self.log_probs[-1] = self.log_probs[-1][rows]

    def hypothesis(
        self, row: int, steps: int, *, finished: bool, score: float | None = None
    ) -> Hypothesis:
        """Read the caption that stands in `row` after `steps` steps.

        A finished one's last word is `<end>`. Its score is its log-probability unless given.
        """
        words: list[int] = []
        log_probs: list[float] = []
        places: list[tuple[int, int]] = []
        for t in range(steps - 1, -1, -1):
            words.append(int(self.words[t][row]))
            log_probs.append(float(self.log_probs[t][row]))
            row = int(self.parents[t][row])
            places.append((t, row))
        words, log_probs, places = words[::-1], log_probs[::-1], places[::-1]
        kept = len(words) - finished
        total = float(sum(log_probs))
        return Hypothesis(
            words=words[:kept],
            log_probs=np.array(log_probs[:kept]),
            log_prob=total,
            score=total if score is None else score,
            finished=finished,
            attention=_rows(self.attention, places[:kept]),
            sentinel=_rows(self.sentinel, places[:kept]),
        )


def _rows(steps: list[Floats], places: list[tuple[int, int]]) -> Floats | None:
    if not steps:
        return None
    chosen = [steps[t][row] for t, row in places]
    return np.stack(chosen) if chosen else np.empty((0, *steps[0].shape[1:]))
