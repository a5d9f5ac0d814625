"""Protocol of a caption with its probabilities, shared by explanations and result files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Captioned"]


class Captioned(Protocol):
    """A caption of `T` words with their probabilities. `cutline.Caption` is one."""

    @property
    def text(self) -> str:
        """The caption."""

    @property
    def words(self) -> Sequence[str]:
        """Its T words."""

    @property
    def log_probs(self) -> Sequence[float]:
        """The natural log-probability of each word, T of them."""

    @property
    def confidence(self) -> float:
        """Confidence of the caption, 0 to 1."""

    @property
    def sentinel(self) -> "NDArray[np.floating[Any]] | None":
        """Sentinel weight beta of each word, (T,), or None."""
