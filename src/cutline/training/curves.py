"""TensorBoard logger that reports a full disk as the house does."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from cutline.files import cannot_write

__all__ = ["Curves"]


class Curves(TensorBoardLogger):
    """Writes to `out/tensorboard`; what cannot be written is a `UsageError`."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, name="tensorboard", version="")

    @property
    def experiment(self) -> Any:
        """TensorBoard's writer, which begins its file when first asked for."""
        with self._refusing():
            return super().experiment

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write figures."""
        with self._refusing():
            super().log_metrics(metrics, step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: the recipe is logged as text."""

    def log_text(self, name: str, text: str) -> None:
        """Write a text, in Markdown."""
        with self._refusing():
            self.experiment.add_text(name, text)

    def log_picture(self, name: str, picture: Image.Image, step: int) -> None:
        """Write a picture."""
        with self._refusing():
            self.experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")

    def save(self) -> None:
        """Write what waits to be written."""
        with self._refusing():
            super().save()

    def finalize(self, status: str) -> None:
        """Close the file; a run that has failed says why it failed, and nothing of its curves."""
        try:
            with self._refusing():
                super().finalize(status)
        except Exception:
            if status == "success":
                raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(Path(self.log_dir), error) from error


@contextmanager
def quiet_writer() -> Iterator[None]:
    """Print no traceback of TensorBoard's thread: `Curves` raises its error again."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (type(args.thread).__name__ == "_AsyncWriterThread" and args.exc_type is OSError):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
