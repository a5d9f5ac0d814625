"""Response models of the HTTP interface.

Shapes: `T` words, `h x w` the attention grid.
"""

import numpy as np
from pydantic import BaseModel, Field

from cutline.captioner import Caption
from cutline.serve.problems import ProblemBody

__all__ = ["Answer", "CaptionBody", "Failure", "Result", "caption_body"]

DIGITS = 4  # of attention; more cannot be seen


class CaptionBody(BaseModel):
    """A caption."""

    caption: str = Field(description="the text")
    words: list[str] = Field(description="its T words")
    log_probs: list[float] = Field(description="the natural log-probability of each word")
    confidence: float = Field(description="0 to 1")
    unsure: bool | None = Field(None, description="only of a calibrated model")
    finished: bool = Field(description="false where the longest allowed caption was reached")
    sentinel: list[float] | None = Field(
        None, description="beta: how much of each look went to the model's own memory"
    )
    attention: list[list[list[float]]] | None = Field(
        None, description="where the model looked for each word, (T, h, w), if asked for"
    )
    area: tuple[float, float, float, float] | None = Field(
        None,
        description="the part of the picture that the attention grid divides: left, top, right, "
        "bottom in shares of its width and height",
    )


class Result(CaptionBody):
    """One picture's best caption, and the others of the same beam."""

    alternatives: list[CaptionBody] = Field([], description="n_best - 1 further captions")


class Failure(BaseModel):
    """The error of one picture among several."""

    problem: ProblemBody


class Answer(BaseModel):
    """A result for each picture, in the order of the request."""

    model: str
    results: list[Result | Failure]


def caption_body(caption: Caption, *, attention: bool) -> CaptionBody:
    """Return a caption as it is answered."""
    looks = caption.attention if attention else None
    sentinel = caption.sentinel
    return CaptionBody(
        caption=caption.text,
        words=list(caption.words),
        log_probs=list(caption.log_probs),
        confidence=caption.confidence,
        unsure=caption.unsure,
        finished=caption.finished,
        sentinel=None if sentinel is None else [float(share) for share in sentinel],
        attention=None if looks is None else np.round(looks.astype(float), DIGITS).tolist(),
        area=None if looks is None else caption.area,
    )
