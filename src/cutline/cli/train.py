"""`cutline train`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from cutline.cli.console import say
from cutline.errors import CutlineError

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

    Shows loss, captions/s, CIDEr and BLEU-4 of generated captions on validation. The best model is
    saved in OUT/best, curves and captions for TensorBoard in OUT/tensorboard.
    """
    from cutline.config import find_recipe, read_recipe

    path = find_recipe(recipe)
    plan = read_recipe(path, changes or (), say=say)
    folder = out or Path("runs") / f"{path.parent.name}-{path.stem}"
    from cutline.training import is_first, is_first_of_node, named, rank
    from cutline.training import train as run

    try:
        result = run(plan, folder, resume=resume, say=say)
    except CutlineError:
        if is_first_of_node():
            raise
        raise typer.Exit(2) from None
    if not is_first():
        return
    figure = plan.training.monitored
    best = max(result.history, key=lambda row: rank(row, figure))
    say(
        f"Best: epoch {best['epoch']:.0f}, validation {named(figure)} {best[figure]:.3f}. "
        f"Model: {result.folder}"
    )
    images = f" --images {plan.data.limit}" if plan.data.limit else ""
    say(
        f"Next: cutline evaluate {result.folder} --data {quote(plan.data.path)} "
        f"--split {plan.training.validate_on}{images}"
    )
