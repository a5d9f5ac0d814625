"""Lightning's checkpoints without pickle: one safetensors file, its structure as JSON within.

Tensors are stored as tensors; what lies between them (dicts, lists, numbers, names) becomes JSON in
the file's metadata. The file is written whole or not at all.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.errors import UsageError
from cutline.files import printable, written

__all__ = ["SafeCheckpointIO", "read_epochs"]


class SafeCheckpointIO(CheckpointIO):
    """Writes and reads checkpoints that run no code when they are read."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all."""
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_pack(checkpoint, tensors))
        with written(path) as draft:
            try:
                save_file(tensors, draft, metadata={"tree": tree})
            except SafetensorError as error:  # what it says of a full disk
                raise OSError(str(error)) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint to the CPU; one that is not whole is a `UsageError`."""
        with _reading(path) as file:
            loaded: dict[str, Any] = _unpack(json.loads(file.metadata()["tree"]), file)
            return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_epochs(path: Path) -> int:
    """Return how many whole epochs stand behind a checkpoint, without reading its tensors."""
    with _reading(path) as file:
        tree = dict(json.loads(file.metadata()["tree"])["dict"])
        return int(tree["epoch"]) + 1


@contextmanager
def _reading(path: str | Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The checkpoint {printable(path)} cannot be read ({error}); "
            "remove it and train again, without --resume."
        ) from None


def _pack(item: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(item, Tensor):
        name = str(len(tensors))
        tensors[name] = item.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(item, Mapping):
        return {"dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in item.items()]}
    if isinstance(item, list | tuple):
        kind = "list" if isinstance(item, list) else "tuple"
        return {kind: [_pack(part, tensors) for part in item]}
    if item is None or isinstance(item, bool | int | float | str):
        return item
    if isinstance(item, Path):
        return str(item)
    raise TypeError(f"A checkpoint cannot hold a {type(item).__name__} without pickle: {item!r}")


def _unpack(item: Any, file: Any) -> Any:
    if not isinstance(item, dict):
        return item
    ((kind, content),) = item.items()
    if kind == "tensor":
        tensor: torch.Tensor = file.get_tensor(content)
        return tensor
    if kind == "dict":
        return {_unpack(k, file): _unpack(v, file) for k, v in content}
    parts = [_unpack(part, file) for part in content]
    return tuple(parts) if kind == "tuple" else parts
