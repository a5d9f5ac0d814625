"""Watchdog: stops a training whose loss or gradient is not finite, warns of one that diverges.

A loss or a gradient that is not finite makes every weight so, and a model of such weights captions
nothing. On a CPU a step is judged before it changes a weight; a GPU would have to be waited for, so
there the numbers of many steps are read at once, and always before anything is judged or saved.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cutline.config import Recipe
from cutline.errors import UsageError
from cutline.files import printable

__all__ = ["Watch"]

CPU = "cpu"  # waits for nobody, and is judged at once
EVERY = 20  # steps of a GPU that are read at once
SKIPPED = 50  # steps in a row that half precision may leave out: its scale is halved each time
EARLY, FAR, MANY = 5, 3.0, 3  # the first steps; times their loss, and 1; steps in a row


class Seen(NamedTuple):
    """A step's loss, the norm of its gradient, and its cross-entropy per word, or 0."""

    step: int
    epoch: int
    loss: Tensor
    norm: Tensor
    figure: Tensor


class Watch:
    """Judges loss and gradient of each step, and weights before they are validated and saved.

    Args:
        recipe: names the fields to change.
        out: the run's folder.
        say: told once that the loss explodes.
    """

    def __init__(self, recipe: Recipe, out: Path, say: Callable[[str], None]) -> None:
        self.recipe = recipe
        self.out = out
        self.say = say
        self.scaled = False  # a GradScaler finds its scale by steps that are not finite
        self.waiting: list[Seen] = []
        self.bad = 0
        self.early: list[float] = []
        self.above = 0
        self.warned = False

    def see(self, seen: Seen) -> None:
        """Take down a step; a CPU's is judged now, a GPU's with others.

        Raises:
            UsageError: the loss or the gradient is not finite.
        """
        self.waiting.append(seen)
        if seen.loss.device.type == CPU or len(self.waiting) == EVERY:
            self.look()

    def look(self) -> None:
        """Judge all steps that have been taken down."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        rows = [
            torch.stack([number.float().to(s.loss.device) for number in (s.loss, s.norm, s.figure)])
            for s in waiting
        ]
        for seen, (loss, norm, figure) in zip(waiting, torch.stack(rows).tolist(), strict=True):
            self._judge(seen, loss, norm)
            self._compare(seen, figure)

    def check(self, network: nn.Module, epochs: int) -> None:
        """Judge the weights that `epochs` whole epochs and those after them have left.

        Raises:
            UsageError: some are not finite.
        """
        self.look()
        tensors = [t for t in network.state_dict().values() if t.is_floating_point()]
        finite = torch.stack([t.isfinite().all().to(tensors[0].device) for t in tensors])
        if not finite.all():
            raise self.fault(f"Weights are no longer finite after epoch {epochs + 1}", epochs)

    def fault(self, what: str, epochs: int) -> UsageError:
        """Return the sentence that ends a training: what happened, what stays, what to lower."""
        training, encoder = self.recipe.training, self.recipe.encoder
        rates = [f"training.learning_rate (now {training.learning_rate:g})"]
        if encoder.trainable != "none":
            rates.append(f"encoder.learning_rate (now {encoder.learning_rate:g})")
        rates.append(f"training.gradient_clip (now {training.gradient_clip:g})")
        exact = "" if training.precision == "32-true" else ", give training.precision=32-true"
        kept, again = "no model was saved yet", ""
        if epochs:
            kept = f"best, last and the checkpoint stay as they were after epoch {epochs}"
            best = printable(self.out / "best")
            again = f", from the best model if you like (training.start_from={best})"
        return UsageError(
            f"{what}, so training stops; {kept}. Lower {', '.join(rates[:-1])} or {rates[-1]}"
            f"{exact}, and train into another folder{again}."
        )

    def _judge(self, seen: Seen, loss: float, norm: float) -> None:
        finite = math.isfinite(loss) and math.isfinite(norm)
        self.bad = 0 if finite else self.bad + 1
        if self.bad >= (SKIPPED if self.scaled else 1):
            what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient's norm is {norm}"
            where = f"at step {seen.step} (epoch {seen.epoch})"
            many = f" and was not finite in {self.bad} steps" if self.scaled else ""
            raise self.fault(f"The {what} {where}{many}", seen.epoch - 1)

    def _compare(self, seen: Seen, figure: float) -> None:
        """Warn once of a loss that stays far above that of the first steps."""
        if len(self.early) < EARLY:
            self.early.append(figure)
        self.above = self.above + 1 if figure > FAR * min(self.early) + 1 else 0
        if self.above == MANY and not self.warned:
            self.warned = True
            rate = self.recipe.training.learning_rate
            self.say(
                f"warning: the loss explodes: {figure:,.1f} a word at step {seen.step} (epoch "
                f"{seen.epoch}), {min(self.early):,.1f} in the first steps; training goes on, but "
                f"a lower training.learning_rate (now {rate:g}) or training.gradient_clip (now "
                f"{self.recipe.training.gradient_clip:g}) would learn more."
            )
