"""Rows: one picture's caption, to be written or read back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cutline.captioned import Captioned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DOUBT", "Framed", "JudgedCaption", "Row", "StoredRow"]

DOUBT = "perhaps: "  # as `Caption.hedged` says it


class JudgedCaption(Captioned, Protocol):
    """A caption, and whether its captioner is sure of it. `cutline.Caption` is one."""

    @property
    def hedged(self) -> str:
        """The caption, with a word of doubt before it where there is reason to."""

    @property
    def unsure(self) -> bool | None:
        """Return whether the captioner is not sure; None where the model is not calibrated."""


class Framed(NamedTuple):
    """A caption with text before and after it, as it is; its words and numbers stay."""

    of: JudgedCaption
    prefix: str
    suffix: str

    @property
    def text(self) -> str:
        """The caption with what stands around it."""
        return f"{self.prefix}{self.of.text}{self.suffix}"

    @property
    def hedged(self) -> str:
        """The same, with a word of doubt before all of it where there is reason to."""
        return f"{DOUBT}{self.text}" if self.unsure else self.text

    @property
    def words(self) -> Sequence[str]:
        """The caption's own words."""
        return self.of.words

    @property
    def log_probs(self) -> Sequence[float]:
        """The natural log-probability of each word."""
        return self.of.log_probs

    @property
    def confidence(self) -> float:
        """Confidence of the caption, 0 to 1."""
        return self.of.confidence

    @property
    def unsure(self) -> bool | None:
        """Return whether it is not; None where the model is not calibrated."""
        return self.of.unsure

    @property
    def sentinel(self) -> "NDArray[np.floating[Any]] | None":
        """The sentinel's share of attention (`beta`) at each word, or None."""
        return self.of.sentinel


class Row(NamedTuple):
    """One picture's caption, to be written."""

    image: Path
    caption: JudgedCaption
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Return what the json format writes.

        `sentinel` only where the decoder has one, `unsure` where the model is calibrated.
        """
        caption = self.caption
        betas = [] if caption.sentinel is None else [round(float(b), 6) for b in caption.sentinel]
        return {
            "image": str(self.image),
            "caption": caption.text,
            "words": list(caption.words),
            "log_probs": [round(value, 6) for value in caption.log_probs],
            **({} if caption.sentinel is None else {"sentinel": betas}),
            "confidence": round(caption.confidence, 6),
            **({} if caption.unsure is None else {"unsure": caption.unsure}),
            "model": self.model,
        }


class StoredRow(NamedTuple):
    """One picture's caption, read back from a file.

    Attributes:
        image: its path as it was given; None in COCO results that somebody else wrote.
        caption: the text, without the word of doubt that the text format puts before it.
        unsure: whether the captioner was; None where the file does not say.
        image_id: COCO's id; None in other formats.
    """

    image: str | None
    caption: str
    unsure: bool | None = None
    image_id: int | str | None = None
