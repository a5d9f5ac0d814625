"""Sampled captions in the logs: validation images with their captions and attention."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from PIL import Image

from cutline.captioner import Caption
from cutline.data.examples import Example, Picture
from cutline.explain.figure import draw_figure
from cutline.explain.overlay import resized
from cutline.images.unreadable import Unreadable, attempt
from cutline.training.loggers import log_picture, log_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cutline.training.module import TrainingModule

__all__ = ["LogSamples", "draw_samples"]

SIDE = 320  # the longer side of a picture, in pixels
DPI = 72
COLUMNS = 4
CELL = (3.2, 3.8)  # inches: a picture, and the lines under it
LETTERS = 38  # in such a line


class LogSamples(Callback):
    """Logs the recipe once, and after each validation the first images with their captions.

    `samples` is one picture of all of them, `attention/N` is where the decoder attended for each
    word of the Nth, if it attends.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = {example.image_id: example for example in examples}
        self.pictures: dict[str, Image.Image] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the recipe."""
        module: TrainingModule | Any = pl_module
        if trainer.is_global_zero and trainer.logger is not None:
            log_recipe(trainer.logger, module.recipe)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log captions and attention."""
        module: TrainingModule | Any = pl_module
        captions: Mapping[str, Caption] = module.samples
        if not trainer.is_global_zero or trainer.logger is None:
            return
        shown = [image for image in self.examples if image in captions and self._read(image)]
        if not shown or module.recipe.training.logger == "csv":
            return
        step = trainer.global_step
        for number, image in enumerate(shown, start=1):
            caption = captions[image]
            if caption.attention is not None and caption.words:
                drawn = _pixels(draw_figure(self.pictures[image], caption))
                log_picture(
                    trainer.logger, f"attention/{number}", drawn, step=step, title=caption.text
                )
        rows = [
            (self.pictures[image], captions[image].text, self.examples[image].captions[0])
            for image in shown
        ]
        title = f"epoch {trainer.current_epoch + 1}"
        log_picture(trainer.logger, "samples", draw_samples(rows), step=step, title=title)

    def _read(self, image: str) -> bool:
        """Read a picture once; one that has broken since training began is left out."""
        if image not in self.pictures:
            picture = self.examples[image].picture
            read: Any = attempt(_small, picture, name=picture.name)
            if isinstance(read, Unreadable):
                return False
            self.pictures[image] = read
        return True


def _small(picture: Picture) -> Image.Image:
    return resized(picture.open(), SIDE)


def draw_samples(rows: Sequence[tuple[Image.Image, str, str]]) -> Image.Image:
    """Draw pictures, each with its generated caption and a reference under it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(columns * CELL[0], lines * CELL[1]), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)  # not pyplot: no window, no global state, any thread
    for index, (picture, caption, reference) in enumerate(rows):
        row, column = divmod(index, columns)
        below = 1 - (row + 1) / lines
        place = (column / columns + 0.02 / columns, below + 0.3 / lines)
        axes = figure.add_axes((*place, 0.96 / columns, 0.68 / lines), anchor="S")
        axes.imshow(np.asarray(picture))
        axes.set_axis_off()
        said = [*wrap(caption or "(no words)", LETTERS)][:3]
        figure.text(place[0], below + 0.28 / lines, "\n".join(said), va="top", parse_math=False)
        true = [*wrap(f"reference: {reference}", LETTERS + 4)][:2]
        figure.text(
            place[0],
            below + 0.01 / lines,
            "\n".join(true),
            va="bottom",
            color="#77736d",
            size=9,
            parse_math=False,
        )
    return _pixels(figure)


def _pixels(figure: "Figure") -> Image.Image:
    figure.set_dpi(DPI)
    canvas: Any = figure.canvas
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
