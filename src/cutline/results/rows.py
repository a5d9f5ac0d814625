"""Rows: one picture's caption, to be written or read back."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cutline.captioned import Captioned

__all__ = ["JudgedCaption", "Row", "StoredRow"]


class JudgedCaption(Captioned, Protocol):
    """A caption, and whether its captioner is sure of it. `cutline.Caption` is one."""

    @property
    def hedged(self) -> str:
        """The caption, with a word of doubt before it where there is reason to."""

    @property
    def unsure(self) -> bool | None:
        """Whether the captioner is not sure; None where the model is not calibrated."""


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
