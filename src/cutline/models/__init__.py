"""Shipped models: found by name, listed with a summary.

header   what a safetensors file says of itself
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from cutline.errors import ModelError, did_you_mean
from cutline.files import printable
from cutline.folders import recovered
from cutline.models.header import read_header
from cutline.untrusted import MEGABYTE, read_json, shortened

__all__ = [
    "LARGEST_CONFIG",
    "SHIPPED",
    "Summary",
    "find_model",
    "models_below",
    "shipped_models",
    "summary",
]

SHIPPED = "flickr8k-small"
LARGEST_CONFIG = MEGABYTE
_FOLDER = Path(__file__).parent


class Summary(NamedTuple):
    """A line of `cutline models`; `score` is CIDEr on validation, if there is one."""

    decoder: str
    encoder: str
    words: int
    score: float | None
    megabytes: float


def shipped_models() -> list[Path]:
    """Return the folders of the models that come with Cutline."""
    return sorted(path.parent for path in _FOLDER.glob("*/config.json"))


def models_below(folder: Path) -> list[Path]:
    """Return the folders below one that look like a model, broken or not; no hidden ones."""
    configs = (path.parent for path in folder.rglob("config.json"))
    return sorted(
        path
        for path in configs
        if not path.name.startswith(".") and os.path.lexists(path / "model.safetensors")
    )


def summary(folder: Path) -> Summary:
    """Say in short what a model is, without loading it; a broken one is a `ModelError`."""
    config = read_json(folder / "config.json", at_most=LARGEST_CONFIG)
    read_header(folder / "model.safetensors")
    try:
        return Summary(
            decoder=_name(config["decoder"]),
            encoder=_name(config["encoder"]),
            words=int(config["vocabulary_size"]),
            score=_score(config["scores"]),
            megabytes=(folder / "model.safetensors").stat().st_size / MEGABYTE,
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        raise ModelError(f"{printable(folder / 'config.json')} is not of a model.") from None


def find_model(name: Path | str) -> Path:
    """Find a model by its folder, or by its name among those that come with Cutline."""
    try:
        folder = recovered(Path(name).expanduser())
    except (RuntimeError, ValueError):  # nobody's home, or no name of a file
        folder = Path(name)
    if os.path.isdir(folder):  # noqa: PTH112 (`Path.is_dir` raises on some names)
        return folder
    shipped = {path.name: path for path in shipped_models()}
    if str(name) in shipped:
        return shipped[str(name)]
    hint = did_you_mean(str(name), shipped).partition("Allowed")[0]
    raise ModelError(
        f"There is no model folder {printable(folder)}; {hint}`cutline models` lists those at "
        "hand, and `cutline demo` makes one in runs/demo/model."
    )


def _name(part: Any) -> str:
    return shortened(part["name"])


def _score(scores: Any) -> float | None:
    judged = [score for name, score in scores.items() if name.startswith("val/cider")]
    cider = scores.get("CIDEr", judged[0] if judged else None)
    return None if cider is None else float(cider)
