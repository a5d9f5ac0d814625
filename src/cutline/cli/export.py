"""`cutline export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say, working
from cutline.cli.lists import Storage
from cutline.folders import check_free_folder

__all__ = ["export"]


class Format(StrEnum):
    """Kinds of export."""

    ONNX = "onnx"


def export(
    model: Annotated[Path, typer.Argument(help="Folder of a model, of format 1 or 2.")],
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    form: Annotated[Format, typer.Option("--format", help="ONNX graphs.")] = Format.ONNX,  # noqa: ARG001
    precision: Annotated[
        Storage | None,
        typer.Option(
            help="Of the stored weights; float16 halves, int8 quarters. Default: unchanged."
        ),
    ] = None,
) -> None:
    """Write a model folder anew: its weights once, and the graphs that caption from them.

    The graphs are compared with PyTorch before they are kept.
    """
    check_free_folder(out)
    from cutline.models import find_model
    from cutline.network import Model

    trained = Model.read(find_model(model))
    if precision is not None:
        trained.stored_as(precision.value)
    with working("tracing graphs and comparing them"):
        trained.save(out)
    megabytes = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    say(f"{out}: {megabytes:.1f} MB. Next: cutline caption photo.jpg --model {out}")
