"""Schedules: learning rates by step, scheduled sampling by epoch.

A learning rate's schedule is a factor of the full rate by step. All of them rise to it first.
"""

import math
from collections.abc import Callable

from cutline.config import ScheduledSamplingConfig, TrainingConfig

__all__ = [
    "Factor",
    "Plateau",
    "build_schedule",
    "cosine_with_warmup",
    "own_words",
    "step_decay",
    "warmup",
    "warmup_steps",
]

Factor = Callable[[int], float]


def warmup(steps: int) -> Factor:
    """Rise in a line to 1 over `steps`, then stay."""
    return lambda step: min(1.0, (step + 1) / (steps + 1))


def cosine_with_warmup(steps: int, total: int) -> Factor:
    """Rise over `steps`, then fall to 0 at `total` (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    rise = warmup(steps)
    return lambda step: rise(step) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))


def step_decay(steps: int, *, every: int, factor: float) -> Factor:
    """Rise over `steps`; after each `every` steps, be multiplied by `factor`."""
    rise = warmup(steps)
    return lambda step: rise(step) * factor ** (step // every)


class Plateau:
    """Rise over `steps`; be multiplied by `factor` when `epochs` have brought nothing better.

    Its attributes are plain numbers, so that PyTorch saves them with the schedule it drives, and a
    resumed run decays when one that was never killed does.
    """

    def __init__(self, steps: int, *, epochs: int, factor: float) -> None:
        self.steps = steps
        self.epochs = epochs
        self.factor = factor
        self.best = -math.inf
        self.tie = -math.inf  # decides between equal scores
        self.waited = 0
        self.decays = 0

    def __call__(self, step: int) -> float:
        """Return the factor of the full rate at `step`."""
        return warmup(self.steps)(step) * float(self.factor**self.decays)

    def judge(self, score: float, tie: float = -math.inf) -> None:
        """Hear an epoch's validation score, higher is better; of equal ones the higher `tie`."""
        if (score, tie) > (self.best, self.tie):
            self.best, self.tie, self.waited = score, tie, 0
            return
        self.waited += 1
        if self.waited == self.epochs:
            self.decays, self.waited = self.decays + 1, 0


def warmup_steps(training: TrainingConfig, *, total: int) -> int:
    """Return the steps of the warm-up of a run of `total` steps: a tenth of them at most."""
    return min(training.warmup_steps, total // 10)


def build_schedule(training: TrainingConfig, *, total: int) -> Factor:
    """Return the schedule that `training` names, for a run of `total` steps."""
    steps, factor = warmup_steps(training, total=total), training.decay_factor
    if training.schedule == "cosine":
        return cosine_with_warmup(steps, total)
    if training.schedule == "plateau":
        return Plateau(steps, epochs=training.decay_epochs, factor=factor)
    if training.schedule == "step":
        every = max(1, total * training.decay_epochs // training.epochs)
        return step_decay(steps, every=every, factor=factor)
    return warmup(steps)


def own_words(plan: ScheduledSamplingConfig | None, epoch: int) -> float:
    """Return the probability of reading the model's own word in `epoch`, the first being 1.

    Bengio et al. 2015 (arXiv 1506.03099), section 2.4, in steps in place of a line.
    """
    if plan is None or epoch < plan.start:
        return 0.0
    increases = 1 + (epoch - plan.start) // plan.every
    return min(plan.maximum, increases * plan.increase)
