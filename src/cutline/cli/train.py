"""`cutline train`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from cutline.cli.console import say

__all__ = ["train"]


def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes to it, such as training.epochs=3."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train a captioner from a recipe.

    Shows loss, captions/s and the CIDEr of generated captions on validation. The best model is
    saved in OUT/best, curves for TensorBoard in OUT/tensorboard.
    """
    from cutline.config import find_recipe, read_recipe

    path = find_recipe(recipe)
    plan = read_recipe(path, changes or ())
    folder = out or Path("runs") / f"{path.parent.name}-{path.stem}"
    from cutline.training import train as run

    result = run(plan, folder, resume=resume, say=say)
    figure = plan.training.monitor
    search = figure.removeprefix("val/cider_").replace("_", " ")
    best = max(result.history, key=lambda row: row[figure])
    say(
        f"Best: epoch {best['epoch']:.0f}, validation CIDEr {best[figure]:.3f} "
        f"({search}). Model: {result.folder}"
    )
    say(f"Next: cutline evaluate {result.folder} --data {quote(plan.data.path)} --split val")
