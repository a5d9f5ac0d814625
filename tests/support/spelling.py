"""Decoders that spell: their words are letters, so that a person can read what a search found.

A script says which letters may follow what has been spelled so far. It is wrapped twice, once for
numpy and once for PyTorch; the state is the spelled prefix itself, so a search that mixes up its
rows spells nonsense.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from cutline.search import Hypothesis, Scored, Words

PAD, START, END, UNK = range(4)
LETTERS = "abcde"
SIZE = 4 + len(LETTERS)
WORDS = Words(START, END, np.array([PAD, START, UNK]))
NUMBERS_OF_BANNED = {PAD, START, UNK}
ROOM = 8  # columns of the history that the scripted decoder reports as its attention

Script = Callable[[int, str], np.ndarray]
"""Scores of the whole vocabulary for an image, after what has been spelled."""


def number(letter: str) -> int:
    return END if letter == "." else 4 + LETTERS.index(letter)


def spell(numbers: Sequence[int]) -> str:
    return "".join(
        "_.?"[n - 1] if 0 < n < 4 else "-" if n == 0 else LETTERS[n - 4] for n in numbers
    )


def spelled(hypothesis: Hypothesis) -> str:
    """The caption, with a full stop where it has ended."""
    return spell(hypothesis.words) + "." * hypothesis.finished


# --- scripts


def lexicon(*lexicons: Mapping[str, float]) -> Script:
    """Know some words, and how probable each is, for each image."""

    def script(image: int, prefix: str) -> np.ndarray:
        scores = np.full(SIZE, -30.0)
        scores[END] = -60.0  # so that among the impossible no caption ends, and closes a slot
        known = {f"{word}.": share for word, share in lexicons[image].items()}
        for word, share in known.items():
            if word.startswith(prefix) and word != prefix:
                letter = number(word[len(prefix)])
                scores[letter] = np.logaddexp(scores[letter], math.log(share))
        return scores

    return script


def noise(seed: int, letters: int = 3) -> Script:
    """Any letter may follow anything, by chance; the banned words are the most probable."""

    def script(image: int, prefix: str) -> np.ndarray:
        scores = np.random.default_rng((seed, image, *map(ord, prefix))).normal(0, 1.5, SIZE)
        scores[[PAD, START, UNK]] += 3
        scores[4 + letters :] = -np.inf
        return scores

    return script


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.logaddexp.reduce(scores)


def word_log_probs(script: Script, image: int, word: str) -> list[float]:
    """What the script itself says of each letter of a word, its full stop included."""
    return [
        float(log_softmax(script(image, word[:t]))[number(letter)]) for t, letter in enumerate(word)
    ]


# --- the script as a decoder


class History(NamedTuple):
    """`image` (N,) and `letters` (N, t): what has been read."""

    image: Any
    letters: Any


class Speller:
    """A step callable in numpy. Attention is the history as numbers, sentinel the last word.

    All it knows of the images is in the state, so to `keep` some of them is only counted.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[int] = []
        self.selected: list[int] = []

    def start(self, images: int, first: int = 0) -> History:
        image = np.arange(first, first + images)
        return History(image, np.zeros((images, 0), dtype=np.int64))

    def select(self, images: np.ndarray, /) -> "Speller":
        self.selected.append(len(images))
        return self

    def __call__(self, words: np.ndarray, state: History) -> Scored:
        assert len(words) == len(state.letters) == len(state.image)
        self.calls.append(len(words))
        state = History(state.image, np.concatenate([state.letters, words[:, None]], 1))
        prefixes = [spell(row[1:]) for row in state.letters]
        scores = np.stack(
            [self.script(int(i), p) for i, p in zip(state.image, prefixes, strict=True)]
        )
        seen = np.zeros((len(words), ROOM))
        seen[:, : state.letters.shape[1]] = state.letters
        return Scored(scores, state, seen, words.astype(np.float64))


class TorchSpeller(Speller):
    """The same in PyTorch."""

    def start(self, images: int, first: int = 0) -> History:
        return History(*map(torch.from_numpy, super().start(images, first)))

    def __call__(self, words: np.ndarray, state: History) -> Scored:
        scored = super().__call__(words, History(*(part.numpy() for part in state)))
        return Scored(
            torch.from_numpy(scored.scores),
            History(*map(torch.from_numpy, scored.state)),
            torch.from_numpy(scored.attention),
            torch.from_numpy(scored.sentinel),
        )


# --- oracles


def everything(
    script: Script, image: int, *, letters: str, max_words: int, length_penalty: float = 0.0
) -> list[tuple[str, float]]:
    """All captions there are with their scores: finished ones best first, then unfinished ones."""
    groups: list[list[tuple[str, float]]] = []
    for lengths, stop in ((range(max_words), "."), ((max_words,), "")):
        group = []
        for length in lengths:
            for combination in itertools.product(letters, repeat=length):
                word = "".join(combination) + stop
                total = sum(word_log_probs(script, image, word))
                group.append((word, total / len(word) ** length_penalty))
        groups.append(sorted(group, key=lambda entry: -entry[1]))
    return groups[0] + groups[1]


def beam_by_hand(
    script: Script, image: int, *, width: int, max_words: int, length_penalty: float = 0.0
) -> list[tuple[str, float]]:
    """Beam search of one image, told as slowly as possible."""
    live, ended = [("", 0.0)], []
    for _ in range(max_words):
        candidates = [
            (word + letter, total + log_softmax(script(image, word))[number(letter)])
            for word, total in live
            for letter in LETTERS + "."
            if np.isfinite(script(image, word)[number(letter)])
        ]
        candidates.sort(key=lambda entry: -entry[1])
        live = []
        for word, total in candidates[: width - len(ended)]:
            (ended if word.endswith(".") else live).append((word, total))
        if len(ended) == width:
            break
    ranked = sorted(
        ((word, total / len(word) ** length_penalty) for word, total in ended), key=lambda e: -e[1]
    )
    return ranked + [(word, total / len(word) ** length_penalty) for word, total in live]
