"""`cutline models` and `cutline recipes`."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import complain, say, table
from cutline.errors import ModelError
from cutline.files import printable
from cutline.models import SHIPPED, models_below, shipped_models, summary

__all__ = ["Precision", "Storage", "chosen_model", "model_of_run", "models", "recipes"]


class Precision(StrEnum):
    """Of the decoder's products when it captions; see `cutline.captioner.onnx`."""

    FLOAT32 = "float32"
    INT8 = "int8"


class Storage(StrEnum):
    """Storage of weights on disk; see `cutline.network.storage`."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def chosen_model(given: Path | None) -> Path:
    """Return the model named on the command line, by `$CUTLINE_MODEL`, or the one that ships."""
    if given is not None:
        return given
    if named := os.environ.get("CUTLINE_MODEL"):
        return Path(named)
    return Path(SHIPPED)


def model_of_run(given: Path) -> Path:
    """Return the best model of a folder that is a run's, and say so; any other as it is."""
    best = given / "best"
    if (given / "config.json").exists() or not (best / "config.json").exists():
        return given
    say(f"{printable(given)} is a run; its best model is {printable(best)}")
    return best


def models(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path("runs"),
) -> None:
    """List the models that come with Cutline, and those below a folder."""
    own = models_below(folder)
    if not own:
        say(f"There is no model below {folder}; `cutline demo` makes one in runs/demo/model.")
    shipped, rows, broken = shipped_models(), [], 0
    for path in [*shipped, *own]:
        try:
            found = summary(path)
        except ModelError as error:
            complain(str(error))
            broken += 1
            continue
        rows.append(
            [
                path.name if path in shipped else printable(path),
                found.decoder,
                found.encoder,
                f"{found.words:,}",
                "" if found.score is None else f"{found.score:.3f}",
                f"{found.megabytes:.1f}",
            ]
        )
    table("", ["model", "decoder", "encoder", "words", "val CIDEr", "MB"], rows)
    if broken:
        raise typer.Exit(1)


def recipes() -> None:
    """List the shipped recipes."""
    from cutline.config import recipe_folder

    folder = recipe_folder()
    rows = []
    for path in sorted(folder.rglob("*.yaml")):
        purpose = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#") or line.startswith("# Cost"):
                break
            purpose.append(line.lstrip("# "))
        rows.append([str(path.relative_to(folder).with_suffix("")), " ".join(purpose)])
    table("", ["recipe", "what it is"], rows)
    say(f"The files in {folder} also say what each costs and scores.")
    say("Next: cutline train RECIPE [KEY=VALUE ...]")
