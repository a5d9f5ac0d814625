"""`cutline explain`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say, tell
from cutline.cli.lists import chosen_model
from cutline.errors import UsageError
from cutline.files import check_free, check_not_read, printable

__all__ = ["explain"]


class Style(StrEnum):
    """Upsampling of attention; see `cutline.explain.overlay`."""

    SMOOTH = "smooth"
    CELLS = "cells"


def explain(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A model; default: $CUTLINE_MODEL, or Cutline's own. Repeat it to compare models."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A .png, .gif or .html file; default: IMAGE-attention.png here."),
    ] = None,
    style: Annotated[
        Style, typer.Option(help="Draw attention smoothly, or cell by cell of its grid.")
    ] = Style.SMOOTH,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam width; 1 is greedy.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Show, word by word, where a captioner looked, and how probable each word was.

    Of a model without attention (nic, rnn), the picture and the probability of each word.
    Several models stand above each other, in a .png or .html file.
    """
    from cutline.images import read_image

    picture = read_image(image)
    target = out or Path(f"{image.stem}-attention.png")
    folders = [*map(chosen_model, model)] if model else [chosen_model(None)]
    check_free(target, overwrite=force)
    check_not_read(target, [image, *folders])
    names = _names(folders)
    from cutline.captioner import load
    from cutline.explain import check_target
    from cutline.explain import explain as show

    check_target(target, overwrite=force, captions=len(folders))
    found = {
        name: load(folder).caption(picture, beam=beam)
        for name, folder in zip(names, folders, strict=True)
    }
    show(picture, found, target, style=style.value, overwrite=force)
    for name, caption in found.items():
        tell(f"{name}: {caption.text}" if name else caption.text)
    say(f"Written: {target}")


def _names(folders: list[Path]) -> list[str]:
    """Return names that tell the models apart: as they were given; "" for a single one."""
    twice = next((each for each in folders if folders.count(each) > 1), None)
    if twice is not None:
        raise UsageError(
            f"--model {printable(twice)} was given twice; give each model once, to compare it "
            "with others."
        )
    return [""] if len(folders) == 1 else [printable(folder) for folder in folders]
