"""Weight storage: single precision, half precision, or int8 with a scale per row.

As bytes, a matrix has a scale for each row (each output), the largest of the row over 127, kept
under the tensor's name with `.scale` behind it; convolutions, where bytes cost captions, are kept
in half precision. Vectors are small, and stay as they are.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from cutline.captioner.folder import Storage
from cutline.errors import ModelError

__all__ = ["SCALE", "check_finite", "restore", "squeeze"]

SCALE = ".scale"


def squeeze(tensors: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Make tensors smaller."""
    squeezed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if storage == "float32" or tensor.ndim < 2:
            squeezed[name] = tensor.contiguous()
        elif storage == "int8" and tensor.ndim == 2:
            scale = tensor.abs().amax(1).clamp(min=1e-12) / 127
            squeezed[name] = (tensor / scale.unsqueeze(1)).round().to(torch.int8).contiguous()
            squeezed[name + SCALE] = scale.contiguous()
        else:
            squeezed[name] = tensor.to(torch.float16).contiguous()
    return squeezed


def restore(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make single precision of what `squeeze` made; all of it new memory, none of a file's."""
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + SCALE)
        if name.endswith(SCALE) and name.removesuffix(SCALE) in tensors:
            continue
        if scale is not None:
            if not bool((scale > 0).all()):
                raise ModelError(f"'{name}{SCALE}' has numbers that are not positive.")
            restored[name] = tensor.float() * scale.unsqueeze(1)
        else:
            kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
            restored[name] = tensor.to(kind, copy=True)
    return restored


def check_finite(tensors: Mapping[str, Tensor], of: str, *, advice: str) -> None:
    """Refuse numbers that are none: one NaN makes every caption nonsense.

    Raises:
        ModelError: a tensor, the first of which is named, holds NaN or infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and not _finite(tensor):
            raise ModelError(
                f"{of} has weights that are not finite (NaN or infinity): "
                f"'{name.removesuffix(SCALE)}' is the first; {advice}."
            )


def _finite(tensor: Tensor) -> bool:
    """Tell by the least and the largest, which are NaN if any is; no mask is allocated."""
    least, largest = torch.aminmax(tensor)
    return bool(least.isfinite() and largest.isfinite())
