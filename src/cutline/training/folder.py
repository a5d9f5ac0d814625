"""Run folder: made new, or continued by the same recipe.

Everything may differ that changes no step of what was trained: threads, devices, the compiler, how
many epochs there shall be, the patience, and what is logged.
"""

import math
import shutil
from pathlib import Path

import yaml

from cutline.config import Recipe, read_recipe
from cutline.errors import UsageError
from cutline.files import cannot_write, printable, write_text
from cutline.folders import recovered
from cutline.training.checkpoints import read_epochs

__all__ = ["CHECKPOINT", "prepare"]

CHECKPOINT, RECIPE = "checkpoint.safetensors", "recipe.yaml"
FREE = {
    "training": {
        "threads",
        "devices",
        "nodes",
        "compile",
        "epochs",
        "patience",
        "logger",
        "log_every",
        "log_images",
    }
}


def prepare(out: Path, recipe: Recipe, *, resume: bool) -> list[str]:
    """Make `out`, or refuse to write over what is there; say in sentences what is gone on with.

    Raises:
        UsageError: `out` is no folder that may be written, or holds a run of another recipe.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{printable(out)} is a file; give a folder with --out.")
    kept, notes = out / RECIPE, list[str]()
    if out.is_dir() and any(path != kept for path in out.iterdir()):  # alone: nothing was trained
        if not resume:
            raise UsageError(
                f"{printable(out)} is not empty and nothing there is overwritten; add --resume to "
                "go on with it, or give another folder with --out."
            )
        before = read_recipe(kept, saved=True) if kept.is_file() else recipe
        notes = _going_on(out, before, recipe)
        _tidy(out)
    write_text(kept, yaml.safe_dump(recipe.model_dump(), sort_keys=False))
    return notes


def _going_on(out: Path, before: Recipe, recipe: Recipe) -> list[str]:
    """Compare with the recipe that was trained by; say how far it came."""
    if before.model_dump(exclude=FREE) != recipe.model_dump(exclude=FREE):
        raise UsageError(
            f"{printable(out)} was trained by another recipe ({printable(out / RECIPE)}); type the "
            "same key=value changes, or give another folder with --out, and "
            f"training.start_from={printable(out / 'best')} to begin with its best model."
        )
    checkpoint = out / CHECKPOINT
    if not checkpoint.is_file():
        return []
    done, epochs = read_epochs(checkpoint), recipe.training.epochs
    if epochs < done:
        raise UsageError(
            f"{printable(out)} has been trained for {done} epochs, but training.epochs is "
            f"{epochs}; give {done} or more, or another folder with --out."
        )
    notes = [f"going on from {printable(checkpoint)}"]
    if epochs != before.training.epochs and epochs > done:
        notes.append(_longer(recipe, done, before.training.epochs))
    return notes


def _longer(recipe: Recipe, done: int, planned: int) -> str:
    """Say what becomes of the learning rates when there are more or fewer epochs than planned."""
    epochs = recipe.training.epochs
    one = epochs == done + 1
    text = f"epoch {epochs} follows" if one else f"epochs {done + 1} to {epochs} follow"
    text += f" ({planned} were planned)"
    if recipe.training.schedule != "cosine":
        return f"{text}; learning rates go on by training.schedule={recipe.training.schedule}"
    had, has = (0.5 * (1 + math.cos(math.pi * done / total)) for total in (planned, epochs))
    return (
        f"{text}; learning rates fall by the cosine of {epochs} epochs: they were at {had:.0%} of "
        f"the full ones, go on at {has:.0%} and reach nothing at epoch {epochs}"
    )


def _tidy(out: Path) -> None:
    """Remove what a kill has left half-written, and put back the model that it caught between."""
    try:
        for draft in out.glob(f".{'[0-9a-f]' * 16}.part"):
            if draft.is_dir():
                shutil.rmtree(draft)
            else:
                draft.unlink()
        for name in ("best", "last"):
            recovered(out / name)
    except OSError as error:
        raise cannot_write(out, error) from error
