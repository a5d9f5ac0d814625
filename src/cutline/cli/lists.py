"""`cutline models` and `cutline recipes`."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say, table
from cutline.models import SHIPPED, shipped_models

__all__ = ["Precision", "chosen_model", "models", "recipes"]


class Precision(StrEnum):
    """Of a model's weights when it captions on a CPU; see `cutline.decoders.packed`."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


def chosen_model(given: Path | None) -> Path:
    """Return the model named on the command line, by `$CUTLINE_MODEL`, or the one that ships."""
    if given is not None:
        return given
    if named := os.environ.get("CUTLINE_MODEL"):
        return Path(named)
    return Path(SHIPPED)


def models(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path("runs"),
) -> None:
    """List the models that come with Cutline, and those below a folder."""
    own = sorted(path.parent for path in folder.rglob("config.json") if _is_model(path))
    if not own:
        say(f"There is no model below {folder}; `cutline demo` makes one in runs/demo/model.")
    shipped = shipped_models()
    rows = []
    for path in [*shipped, *own]:
        try:
            rows.append(_facts(path, path.name if path in shipped else str(path)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            say(f"{path} is left out, because its config.json is none of Cutline's.")
    table("", ["model", "decoder", "encoder", "words", "val CIDEr", "MB"], rows)


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


def _facts(folder: Path, name: str) -> list[str]:
    """Return a model's row of the table."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    scores = config["scores"]
    judged = [score for key, score in scores.items() if key.startswith("val/cider")]
    cider = scores.get("CIDEr", judged[0] if judged else None)
    return [
        name,
        str(config["decoder"]["name"]),
        str(config["encoder"]["name"]),
        f"{config['vocabulary_size']:,}",
        "" if cider is None else f"{cider:.3f}",
        f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f}",
    ]


def _is_model(config: Path) -> bool:
    return not config.parent.name.startswith(".") and (config.parent / "model.safetensors").exists()
