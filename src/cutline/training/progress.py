"""Progress bars, drawn with rich where there is a terminal and in plain lines elsewhere."""

import sys
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.console import Console

__all__ = ["progress_bar", "rich_progress"]


def progress_bar() -> Callback:
    """Return the bar of a training run."""
    return Bar(leave=True) if sys.stdout.isatty() else Lines()


class Bar(RichProgressBar):
    """Lightning's rich bar, without the version number."""

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Show loss, captions/s and validation CIDEr."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class Lines(Callback):
    """A line an epoch, for a log file."""

    def __init__(self) -> None:
        self.console = Console()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the figures of the epoch; one process does it."""
        if not trainer.is_global_zero:
            return
        found = trainer.callback_metrics
        shown = {
            "loss": found.get("train/cross_entropy_per_word"),
            "reward": found.get("train/reward"),
            "captions/s": found.get("captions/s"),
            "val CIDEr": found.get("val CIDEr"),
            "teacher-forced perplexity": found.get("val/teacher_forced_perplexity"),
        }
        figures = "  ".join(f"{name} {float(v):.3f}" for name, v in shown.items() if v is not None)
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {figures}", flush=True)


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
