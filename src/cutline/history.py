"""Training history: the figures of a run after each epoch, and what its recipe has of its own.

The checkpoint of a run keeps both for `--resume`; only its header is read here, without PyTorch.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from cutline.config import Recipe, read_recipe
from cutline.errors import DataError
from cutline.files import printable

__all__ = ["History", "label_runs", "read_history"]

CHECKPOINT, RECIPE = "checkpoint.safetensors", "recipe.yaml"
MOST_DIFFERENCES = 3
# Fields that change neither what is learned nor how it is judged.
_ELSEWHERE = {"data.cache", "data.workers", "training.threads", "training.compile"}


class History(NamedTuple):
    """Figures of a run: `epochs` has a row for each, `epoch` (from 1) and figures by name.

    `train/cross_entropy_per_word` and `val/teacher_forced_cross_entropy_per_word` are in nats a
    word, `train/loss` in nats a caption with what a decoder adds to it, and
    `val/cider_greedy` is CIDEr from 0 to 10.
    """

    folder: Path
    recipe: Recipe
    epochs: tuple[dict[str, float], ...]


def read_history(folder: Path | str) -> History:
    """Read the figures that a run has kept of its epochs.

    Args:
        folder: what `cutline train` wrote, with a checkpoint and a recipe in it.

    Raises:
        DataError: it is no run, or no epoch of it is over.
    """
    folder = Path(folder)
    name, checkpoint = printable(folder), folder / CHECKPOINT
    if not checkpoint.is_file():
        inside = (folder.parent / CHECKPOINT).is_file()
        hint = (
            f"give {printable(folder.parent)}" if inside else "give the folder of `cutline train`"
        )
        what = "no epoch of it is over yet" if (folder / RECIPE).is_file() else "it is no run"
        raise DataError(f"{name} has no {CHECKPOINT}: {what}; {hint}.")
    try:
        with safe_open(checkpoint, framework="numpy") as file:
            tree = _plain(json.loads(file.metadata()["tree"]))
        callback = next(part for part in tree["callbacks"].values() if "history" in part)
        epochs = tuple(dict(row) for row in callback["history"])
    except (SafetensorError, OSError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise DataError(
            f"{printable(checkpoint)} keeps no figures of epochs ({error!r}); train again."
        ) from None
    return History(folder, read_recipe(folder / RECIPE, saved=True), epochs)


def label_runs(runs: Sequence[History]) -> list[str]:
    """Name each run by what its recipe has of its own, or by its folder where that is too much.

    Args:
        runs: to be told apart.

    Returns:
        A label for each, such as `decoder.hidden=512`; no two are alike.
    """
    fields = [_flat(run.recipe.model_dump(mode="json")) for run in runs]
    keys = dict.fromkeys(key for one in fields for key in one)
    differing = [
        key
        for key in keys
        if key not in _ELSEWHERE and len({repr(one.get(key)) for one in fields}) > 1
    ]
    names = [printable(run.folder) for run in runs]
    if not 0 < len(differing) <= MOST_DIFFERENCES:
        return names
    labels = [
        ", ".join(f"{key}={one[key]}" for key in differing if one.get(key) is not None) or "default"
        for one in fields
    ]
    return labels if len(set(labels)) == len(labels) else names


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def _plain(item: Any) -> Any:
    """Unpack the JSON of a checkpoint (`cutline.training.checkpoints`); tensors become None."""
    if not isinstance(item, dict):
        return item
    ((kind, content),) = item.items()
    if kind == "tensor":
        return None
    if kind == "dict":
        return {_plain(key): _plain(value) for key, value in content}
    return [_plain(part) for part in content]
