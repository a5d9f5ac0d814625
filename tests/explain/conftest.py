"""Captions that nobody generated, and pictures of one colour."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from cutline.explain import Explainable


@dataclass(frozen=True)
class Said:
    text: str
    words: tuple[str, ...]
    log_probs: tuple[float, ...]
    confidence: float
    attention: np.ndarray | None
    sentinel: np.ndarray | None
    area: tuple[float, float, float, float]


Say = Callable[..., Explainable]


@pytest.fixture
def say() -> Say:
    """A caption whose word t was looked for in cell t of a 4 x 4 grid, with probability 1/2."""

    def build(
        text: str,
        *,
        attends: bool = True,
        sentinel: float | list[float] | None = None,
        area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    ) -> Said:
        words = tuple(text.split())
        cells = np.arange(len(words)) % 16
        attention = np.eye(16)[cells].reshape(-1, 4, 4) if attends else None
        betas = None if sentinel is None else np.broadcast_to(sentinel, len(words))
        log_probs = (float(np.log(0.5)),) * len(words)
        return Said(text, words, log_probs, 0.5 if words else 0.0, attention, betas, area)

    return build


@pytest.fixture
def photo() -> Image.Image:
    return Image.new("RGB", (60, 40), (200, 120, 40))
