"""`cutline explain`."""

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say, tell
from cutline.cli.lists import chosen_model
from cutline.files import check_free, check_not_read

__all__ = ["explain"]


def explain(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    model: Annotated[
        Path | None,
        typer.Option(help="A model that attends; default: $CUTLINE_MODEL, or Cutline's own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A .png, .gif or .html file; default: IMAGE-attention.png here."),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam width; 1 is greedy.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Show, word by word, where a captioner looked."""
    from cutline.images import read_image

    picture = read_image(image)
    target = out or Path(f"{image.stem}-attention.png")
    folder = chosen_model(model)
    check_free(target, overwrite=force)
    check_not_read(target, [image, folder])
    from cutline.captioner import load
    from cutline.explain import check_target
    from cutline.explain import explain as show

    check_target(target, overwrite=force)
    found = load(folder).caption(picture, beam=beam)
    show(picture, found, target, overwrite=force)
    tell(found.text)
    say(f"Written: {target}")
