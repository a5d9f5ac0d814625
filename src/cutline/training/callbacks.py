"""What happens beside the steps: models and checkpoints are saved, speed is measured."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from cutline.data.batches import Batch

__all__ = ["KeepModels", "Speed"]

SaveModel = Callable[[Path, dict[str, Any]], None]


class Speed(Callback):
    """Shows captions per second, over the last twenty steps."""

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
        captions = self.marks[-1][1] + int((batch.lengths > 0).sum())
        self.marks = [*self.marks[-20:], (time.perf_counter(), captions)]
        (start, before), (now, after) = self.marks[0], self.marks[-1]
        speed = (after - before) / max(now - start, 1e-9)
        pl_module.log("captions/s", speed, prog_bar=True, batch_size=1)


class KeepModels(Callback):
    """After each epoch saves the model as `last`, the best so far as `best`, and the checkpoint.

    The best has the highest CIDEr of greedy captions on validation. The checkpoint is written last:
    a run killed before that goes on from the epoch before, and writes the same again.
    """

    def __init__(self, out: Path, save: SaveModel) -> None:
        self.out = out
        self.save = save
        self.best = -1.0
        self.history: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best, self.history = state_dict["best"], state_dict["history"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save; Lightning has validated by now."""
        figures = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("val/", "train/"))
        }
        self.history.append({"epoch": trainer.current_epoch + 1, **figures})
        if trainer.is_global_zero:
            facts = {"epochs": trainer.current_epoch + 1, "history": self.history}
            if figures["val/cider_greedy"] > self.best:
                self.best = figures["val/cider_greedy"]
                self.save(self.out / "best", {**facts, **figures})
            self.save(self.out / "last", {**facts, **figures})
        trainer.save_checkpoint(self.out / "checkpoint.safetensors")
