"""Lightning's checkpoints without pickle: one safetensors file, its structure as JSON within.

Tensors are stored as tensors; what lies between them (dicts, lists, numbers, names) becomes JSON in
the file's metadata. The file is written under a temporary name and renamed.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.errors import UsageError

__all__ = ["SafeCheckpointIO"]


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
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            save_file(tensors, draft, metadata={"tree": tree})
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint to the CPU; one that is not whole is a `UsageError`."""
        try:
            with safe_open(path, framework="pt") as file:
                tree = json.loads(file.metadata()["tree"])
                loaded: dict[str, Any] = _unpack(tree, file)
                return loaded
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"The checkpoint {path} cannot be read ({error}); "
                "remove it and train again, without --resume."
            ) from None

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


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
