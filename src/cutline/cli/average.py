"""`cutline average`."""

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say
from cutline.errors import UsageError
from cutline.folders import check_free_folder

__all__ = ["average"]


def average(
    models: Annotated[list[Path], typer.Argument(help="Folders of two models or more.")],
    out: Annotated[Path, typer.Option(help="Folder to write the mean to.")],
    weights: Annotated[
        str | None, typer.Option(help="Weight of each model, such as 2,1. Default: equal.")
    ] = None,
) -> None:
    """Make one model of several that went on from the same: the mean of their weights.

    It often captions better than each, and costs no more. Score it: `cutline evaluate`.
    """
    check_free_folder(out)
    try:
        shares = None if weights is None else [float(share) for share in weights.split(",")]
    except ValueError:
        raise UsageError(
            f"--weights is {weights}; give one number for each model, such as 2,1."
        ) from None
    from cutline.models import find_model
    from cutline.network import Model
    from cutline.network import average as mean

    mean([Model.read(find_model(model)) for model in models], shares).save(out)
    say(f"{out}: the mean of {len(models)} models. Next: cutline evaluate {out} --data PATH")
