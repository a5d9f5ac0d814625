"""Model selection: epochs in the order of their validation scores."""

from collections.abc import Mapping, Sequence

from cutline.config import TEACHER_FORCED_LOSS

__all__ = ["epochs_since_best", "named", "rank"]


def rank(figures: Mapping[str, float], monitored: str) -> tuple[float, float]:
    """Return what the better of two epochs has more of.

    The first number is the `monitored` figure, the second decides between equal ones: the
    teacher-forced loss, with its sign changed. Without it a captioner that scores nothing
    throughout would be kept as it was after its first epoch.

    Raises:
        KeyError: no such figure has been logged.
    """
    loss = -float(figures.get(TEACHER_FORCED_LOSS, float("inf")))
    return (loss if monitored == TEACHER_FORCED_LOSS else float(figures[monitored])), loss


def epochs_since_best(history: Sequence[Mapping[str, float]], monitored: str) -> int:
    """Return how many epochs have passed since the best of `history`; 0 if it is the last."""
    ranks = [rank(row, monitored) for row in history]
    return len(ranks) - 1 - ranks.index(max(ranks)) if ranks else 0


def named(monitored: str) -> str:
    """Return the name of a monitored figure as people say it, such as `CIDEr (beam 5)`."""
    if monitored == TEACHER_FORCED_LOSS:
        return "teacher-forced loss per word"
    metric, _, search = monitored.removeprefix("val/").partition("_")
    return f"{({'cider': 'CIDEr', 'bleu4': 'BLEU-4'})[metric]} ({search.replace('_', ' ')})"
