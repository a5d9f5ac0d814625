"""Progress bars, drawn with rich where there is a terminal and in plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.console import Console

from cutline.training.callbacks import KeepModels

__all__ = ["Bar", "StepLines", "progress_bar", "rich_progress"]


def progress_bar(keep: KeepModels) -> Callback:
    """Return the bar of a training run; `keep` knows which epoch was the best."""
    return Bar(keep) if sys.stdout.isatty() else Lines(keep)


class Bar(RichProgressBar):
    """Lightning's rich bar, without the version number."""

    def __init__(self, keep: KeepModels) -> None:
        super().__init__(leave=True)
        self.keep = keep

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Show loss, captions/s, the scores of validation, and epochs since the best."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        if self.keep.history:
            metrics["epochs since the best"] = self.keep.waited
        return metrics


class Lines(Callback):
    """A line an epoch, for a log file."""

    def __init__(self, keep: KeepModels) -> None:
        self.keep = keep
        self.began = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count its seconds."""
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the figures of the epoch, which has been saved by now; one process does it."""
        if not trainer.is_global_zero:
            return
        found = trainer.callback_metrics
        shown = {
            "loss per word": found.get("train/cross_entropy_per_word"),
            "loss per caption": found.get("train/cross_entropy_per_caption"),
            "top-5": found.get("train/top5_accuracy"),
            "reward": found.get("train/reward"),
            "captions/s": found.get("captions/s"),
            "val CIDEr": found.get("val CIDEr"),
            "val BLEU-4": found.get("val BLEU-4"),
            "teacher-forced perplexity": found.get("val/teacher_forced_perplexity"),
        }
        figures = _line(shown)
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        seconds = time.perf_counter() - self.began
        print(f"{epoch}  {seconds:.1f} s  {figures}  {_since(self.keep.waited)}", flush=True)


class StepLines(Callback):
    """A line every so many steps: seconds of a step, and of those waiting for data; the figures.

    Times are means over the steps since the last line.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.began = self.ended = time.perf_counter()
        self.data, self.steps = 0.0, 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count anew: validation is not counted."""
        self._begin()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count how long the batch was waited for."""
        self.data += time.perf_counter() - self.ended

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Print a line, if it is time; one process does it."""
        self.steps += 1
        self.ended = time.perf_counter()
        if (batch_idx + 1) % self.every or not trainer.is_global_zero:
            return
        found = trainer.callback_metrics
        shown = {
            "loss per word": found.get("train/cross_entropy_per_word_step"),
            "top-5": found.get("train/top5_accuracy_step"),
            "reward": found.get("train/reward_step"),
        }
        figures = _line(shown)
        batches = f"{batch_idx + 1}/{trainer.num_training_batches}"
        print(
            f"epoch {trainer.current_epoch + 1}  step {batches}  "
            f"{(self.ended - self.began) / self.steps:.3f} s a step "
            f"({self.data / self.steps:.3f} s for data)  {figures}",
            flush=True,
        )
        self._begin()

    def _begin(self) -> None:
        self.began = self.ended = time.perf_counter()
        self.data, self.steps = 0.0, 0


def _line(figures: Mapping[str, Any]) -> str:
    """Return figures as a line shows them; those that are not there are left out."""
    there = {name: float(value) for name, value in figures.items() if value is not None}
    return "  ".join(f"{name} {value:.3f}" for name, value in there.items())


def _since(epochs: int) -> str:
    if epochs == 0:
        return "the best so far"
    return f"{epochs} epoch{'s' * (epochs > 1)} since the last improvement"


def rich_progress(title: str, total: int) -> Callable[[int], None]:
    """Start a bar of `total` steps; return what advances it. It closes itself when it is full."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(title, total=total)
    bar.start()

    def advance(steps: int) -> None:
        bar.advance(task, steps)
        if bar.finished:
            bar.stop()

    return advance
