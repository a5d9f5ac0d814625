"""Summary of a captioning run: captions, unsure ones, failures by kind."""

import re
from collections import Counter
from dataclasses import dataclass, field

from cutline.cli.console import complain

__all__ = ["Tally"]

# Kinds of failure, by what their sentences say.
KINDS = {
    "missing": r"does not exist|matches nothing|holds no pictures|is empty; give names",
    "empty": r"is empty",
    "not allowed to be read": r"may not be read|no permission",
    "no pictures": r"is not a picture|, not a picture",
    "too large": r"pixels|not enough memory",
    "damaged": r"damaged|cut short|truncated",
    "not written": r"not overwritten|cannot be written|may not be written|captions of two",
}


@dataclass
class Tally:
    """Counts captions and failures; each failure is told as it comes."""

    captioned: int = 0
    unsure: int = 0
    before: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, *, unsure: bool) -> None:
        """Count a caption."""
        self.captioned += 1
        self.unsure += unsure

    def fail(self, sentence: str) -> None:
        """Count and tell what failed."""
        self.failures.append(sentence)
        complain(sentence)

    def __str__(self) -> str:
        parts = [f"{self.captioned:,} captioned"]
        parts += [f"{self.unsure:,} unsure"] if self.unsure else []
        parts += [f"{self.before:,} done before"] if self.before else []
        if self.failures:
            kinds = Counter(_kind(sentence) for sentence in self.failures).most_common()
            told = ", ".join(f"{times:,} {kind}" for kind, times in kinds)
            parts.append(f"{len(self.failures):,} failed: {told}")
        return ", ".join(parts) + "."

    @property
    def code(self) -> int:
        """The exit code: 0 done, 1 some inputs failed, 2 nothing done."""
        if not self.failures:
            return 0
        return 1 if self.captioned or self.before else 2


def _kind(sentence: str) -> str:
    return next((kind for kind, says in KINDS.items() if re.search(says, sentence)), "unreadable")
