"""Lightning callbacks: models and checkpoints, speed, early stop, averaged weights."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging

from cutline.data.batches import Batch
from cutline.errors import DataError
from cutline.training.devices import Processes
from cutline.training.folder import CHECKPOINT
from cutline.training.selection import epochs_since_best, named, rank

__all__ = ["Averaged", "KeepModels", "NameUnreadable", "Speed", "StopEarly", "figures"]

SaveModel = Callable[[Path, dict[str, Any]], None]


class Speed(Callback):
    """Shows captions per second of all processes, over the last twenty steps."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start again: validation is not counted."""
        self.marks = [(time.perf_counter(), 0)]

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Measure."""
        captions = self.marks[-1][1] + int((batch.lengths > 0).sum()) * trainer.world_size
        self.marks = [*self.marks[-20:], (time.perf_counter(), captions)]
        (start, before), (now, after) = self.marks[0], self.marks[-1]
        speed = (after - before) / max(now - start, 1e-9)
        pl_module.log("captions/s", speed, prog_bar=True, batch_size=1)


class NameUnreadable(Callback):
    """Names, once, each picture that has broken since training began, and is left out.

    What several processes have met is named when they meet, before and after validation.
    """

    def __init__(self, say: Callable[[str], None], processes: Processes) -> None:
        self.say = say
        self.processes = processes
        self.named: set[str] = set()
        self.broken: dict[str, str] = {}
        self.read = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count anew what can be read."""
        self.read = 0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Name those of a batch."""
        self.read += len(batch.ids)
        self._name(batch, "skipped")

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse an epoch that has read nothing, before it is judged and saved."""
        self._meet()
        if not sum(self.processes.gathered(self.read)):
            raise DataError(
                "Not one training picture can be read any more, so training stops; put them back "
                "and go on with --resume."
            )

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Name those of a batch."""
        self._name(batch, "left out of the score")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Name those of validation."""
        self._meet()

    def _name(self, batch: Batch, what: str) -> None:
        for picture in batch.unreadable:
            self.broken.setdefault(picture.name, f"warning: {what} from now on: {picture.reason}")
        if self.processes.size == 1:
            self._meet()

    def _meet(self) -> None:
        for found in self.processes.gathered(self.broken):
            for name, warning in found.items():
                if name not in self.named:
                    self.named.add(name)
                    self.say(warning)
        self.broken = {}


class StopEarly(Callback):
    """Stops when generated captions have not become better for so many epochs.

    Not Lightning's own, which counts an epoch after its checkpoint has been written: a resumed run
    would wait longer than one that was never killed. Nor does one that had stopped go on.
    """

    def __init__(self, epochs: int, figure: str, say: Callable[[str], None]) -> None:
        self.epochs = epochs
        self.figure = figure
        self.say = say
        self.best = (-math.inf, -math.inf)  # as `rank` has it
        self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back; a checkpoint of an older version knows the score only."""
        best, self.waited = state_dict["best"], state_dict["waited"]
        self.best = tuple(best) if isinstance(best, list | tuple) else (best, math.inf)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look whether the run had stopped."""
        trainer.should_stop = self.waited >= self.epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look whether captions have become better; every device sees the same score."""
        found = rank(figures(trainer), self.figure)
        self.waited = 0 if found > self.best else self.waited + 1
        self.best = max(found, self.best)
        trainer.should_stop = self.waited >= self.epochs

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say why there are no more epochs."""
        if self.waited >= self.epochs:
            epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
            self.say(
                f"stopped: in {epochs} none was better than {named(self.figure)} "
                f"{abs(self.best[0]):.3f} (training.patience)"
            )


class Averaged(EMAWeightAveraging):
    """Keeps a moving average of the weights: it is validated and saved in place of the last ones.

    The average begins as the weights after the first step. Polyak & Juditsky 1992.
    """

    @contextmanager
    def shown(self, module: L.LightningModule) -> Iterator[None]:
        """Let the module have the averaged weights for a while."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


class KeepModels(Callback):
    """After each epoch saves the model as `last`, the best so far as `best`, and the checkpoint.

    The best has the highest `figure`, by default the CIDEr of its captions on validation, and of
    equal ones the lower loss (`rank`). With `averaged` models have those weights. The checkpoint is
    written last: a run killed before that goes on from the epoch before, and writes the same again.
    """

    def __init__(
        self, out: Path, save: SaveModel, figure: str, averaged: Averaged | None = None
    ) -> None:
        self.out = out
        self.figure = figure
        self.save = save
        self.averaged = averaged
        self.history: list[dict[str, float]] = []

    @property
    def waited(self) -> int:
        """Epochs since the best."""
        return epochs_since_best(self.history, self.figure)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.history = state_dict["history"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save; Lightning has validated by now."""
        found = figures(trainer)
        self.history.append({"epoch": trainer.current_epoch + 1, **found})
        if trainer.is_global_zero:
            facts = {"epochs": trainer.current_epoch + 1, "history": self.history}
            with self.averaged.shown(pl_module) if self.averaged else nullcontext():
                if self.waited == 0:
                    self.save(self.out / "best", {**facts, **found})
                self.save(self.out / "last", {**facts, **found})
        trainer.save_checkpoint(self.out / CHECKPOINT)


def figures(trainer: L.Trainer) -> dict[str, float]:
    """Return the figures of the epoch that has ended, by the name under which they are logged."""
    return {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith(("val/", "train/")) and not name.endswith(("_step", "_epoch"))
    }
