"""METEOR 1.5, by running the Java program of the reference COCO evaluation.

    P, R    precision and recall of an alignment by exact words, stems, synonyms, paraphrases
    METEOR = (1 - gamma (chunks / matches)^beta) * P R / (alpha P + (1 - alpha) R)

From 0 to 1; `chunks` is in how many pieces the aligned words lie. Denkowski and Lavie, "Meteor
Universal: Language Specific Translation Evaluation for Any Target Language", WMT 2014,
https://aclanthology.org/W14-3348, with the jar and its tables as the package `pycocoevalcap`
carries them. Nothing but that program aligns words: where it cannot run there is no figure.

Shapes: `I` images, `N` draws of `I` images with replacement, as counts (N, I).
"""

import atexit
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutline.errors import CutlineError, DataError, MissingDependencyError, UsageError
from cutline.metrics.java import OPTIONS, JavaProgram, find_java, why_no_java

__all__ = ["Meteor", "measure", "meteor", "why_not"]

Floats = NDArray[np.float64]

JAR, PARAPHRASES = "meteor-1.5.jar", "data/paraphrase-en.gz"

# The reference allows 2 GB. With this collector 5,000 images take 0.6 GB, with Java's choice 1.5;
# the rest is for captions of thousands of words.
MEMORY = ("-Xmx2G", "-XX:+UseSerialGC")

# Seconds for one caption, the start included. Five references take less than a millisecond.
PATIENCE = 300.0

# A question is one line, and the word `NOTHING` is in no reference. METEOR reads `<unk>` as three
# words, `<`, `unk` and `>`, so a word that must match nothing is three words too.
NOTHING = "\ue000"
REFERENCE = dict.fromkeys([ord(NOTHING), *range(0xD800, 0xE000)], "\ufffd") | {10: " ", 13: " "}
CANDIDATE = REFERENCE | {0: 3 * NOTHING}

# 4 lengths, 4 numbers of matches in each of 4 stages, 3 for the fragments.
STATISTICS = re.compile(r"[0-9.E-]+( [0-9.E-]+){22}")


class Meteor(NamedTuple):
    """The figures of a corpus and of each image, with the statistics (I, 23) behind them."""

    corpus: float
    images: list[float]
    statistics: Floats

    def redraw(self, counts: NDArray[np.int64]) -> Floats:
        """Compute the figure of the corpus (N,) for draws of images (N, I).

        A corpus' statistics are the sums of its images', so the program is told the sums alone.
        """
        table = self.statistics.copy()
        table[_is_perfect(table), 20] = 0  # its one chunk is not counted in a corpus
        return SCORER.corpora(counts @ table)


def meteor(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, list[float]]:
    """Compute METEOR of the corpus, which is not the mean of the images, and of each image.

    See `measure`.
    """
    return measure(candidates, references)[:2]


def measure(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> Meteor:
    """Compute METEOR of `I` images, given as words (`ptb_tokenize`).

    A word of a candidate with a NUL in it matches nothing. As in the reference, `|||` inside a
    caption is left out.

    Raises MissingDependencyError or UsageError where `why_not` says why, DataError for a caption
    that the program cannot finish, CutlineError when it ends without a reason that we know.
    """
    if len(candidates) != len(references) or not candidates:
        raise UsageError(
            f"METEOR got {len(candidates)} captions for {len(references)} images; "
            "give one caption for each image, and at least one image"
        )
    if missing := [i for i, group in enumerate(references) if not group]:
        raise DataError(f"METEOR needs references, and image number {missing[0]} has none")
    if problem := _problem():
        raise problem
    return SCORER.score(list(map(_question, candidates, references)))


def why_not() -> str | None:
    """Say in one sentence why METEOR cannot be computed here, or nothing when it can."""
    problem = _problem()
    return str(problem) if problem else None


def _problem() -> CutlineError | None:
    if _folder() is None:
        return MissingDependencyError("METEOR", extra="meteor")
    reason = why_no_java("METEOR")
    return UsageError(reason) if reason else None


def _folder() -> Path | None:
    """Find the jar without importing the package, which is nothing but its place."""
    spec = find_spec("pycocoevalcap")
    for place in (spec and spec.submodule_search_locations) or []:
        folder = Path(place, "meteor")
        if (folder / JAR).is_file() and (folder / PARAPHRASES).is_file():
            return folder
    return None


def _question(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> bytes:
    """Write the line that asks for the statistics of one image."""
    fields = [_sentence(words, REFERENCE) for words in references]
    fields.append(_sentence(candidate, CANDIDATE))
    return " ||| ".join(["SCORE", *fields]).encode()


def _sentence(words: Sequence[str], table: dict[int, str]) -> str:
    text = " ".join("\0" if "\0" in word else word for word in words)
    return text.translate(table).replace("|||", "").replace("  ", " ")


def _is_perfect(totals: Floats) -> NDArray[np.bool_]:
    """Say where (N,) all words of both sides match in one piece."""
    matches = totals[:, 4:20].reshape(-1, 4, 2, 2).sum(axis=(1, 2))
    whole = matches == totals[:, :2]
    perfect: NDArray[np.bool_] = whole[:, 0] & whole[:, 1] & (totals[:, 20] == 1)
    return perfect


class Scorer:
    """The Java program, one for all calls of this Python process.

    Loading its tables takes five seconds, so it stays. A forked process starts its own.
    """

    def __init__(self) -> None:
        self.program: JavaProgram | None = None
        self.lock = Lock()

    def score(self, questions: Sequence[bytes]) -> Meteor:
        """Ask for the statistics of each image, then for all figures.

        One question at a time, as in the reference: asking for many at once was not faster.
        """
        with self.lock:
            statistics = [self._statistics(*numbered) for numbered in enumerate(questions)]
            line = " ||| ".join(["EVAL", *statistics]).encode()
            *images, corpus = self._ask(line, "the whole corpus", answers=len(questions) + 1)
        table = np.array([line.split() for line in statistics], np.float64)
        return Meteor(float(corpus), list(map(float, images)), table)

    def corpora(self, totals: Floats) -> Floats:
        """Ask for the figures (N,) of sums of statistics (N, 23)."""
        rows = [" ".join(map(repr, row)) for row in totals.tolist()]
        with self.lock:
            said = [
                self._ask(f"EVAL ||| {row}".encode(), "a draw of images", answers=2)[1]
                for row in rows
            ]
        return np.array(said, np.float64)

    def _statistics(self, image: int, question: bytes) -> str:
        longest = max(len(field.split()) for field in question.split(b"|||")[1:])
        about = f"image number {image}, whose longest caption has {longest} words"
        answer = self._ask(question, about)[0]
        if not STATISTICS.fullmatch(answer):
            self.close()
            raise CutlineError(f"METEOR has no statistics for {about}; it said: {answer[:200]}")
        return answer

    def _ask(self, line: bytes, about: str, *, answers: int = 1) -> list[str]:
        """Ask, and once more if the program had been killed."""
        for last in (False, True):
            try:
                return self._running().ask(line, answers=answers, patience=PATIENCE)
            except TimeoutError as error:
                raise DataError(f"METEOR gave up on {about} ({error}): shorten it") from None
            except EOFError as error:
                if "OutOfMemoryError" in str(error):
                    raise DataError(
                        f"METEOR ran out of memory on {about}: shorten it, or give Java more, "
                        "such as: export _JAVA_OPTIONS=-Xmx8G"
                    ) from None
                if last:
                    raise CutlineError(
                        f"METEOR's Java program ended twice on {about}; it said: {error}"
                    ) from None
        raise AssertionError

    def _running(self) -> JavaProgram:
        if self.program is None or not self.program.alive():
            self.close()
            java, folder = find_java(), _folder()
            assert java is not None
            assert folder is not None
            # From inside its folder, and with its table named: it finds neither by itself on a
            # path with a space, a colon or an accent.
            options = ["-stdio", "-l", "en", "-norm", "-a", PARAPHRASES]
            command = [java, *OPTIONS, *MEMORY, "-jar", JAR, "-", "-", *options]
            self.program = JavaProgram(command, folder=folder)
        return self.program

    def close(self) -> None:
        """End the program; the next call starts a new one."""
        if self.program is not None:
            self.program.close()
            self.program = None

    def forget(self) -> None:
        """Begin anew in a forked process: the program and the lock are the parent's."""
        if self.program is not None:
            self.program.abandon()
        self.program = None
        self.lock = Lock()


SCORER = Scorer()
atexit.register(SCORER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SCORER.forget)
