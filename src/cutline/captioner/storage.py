"""How weights lie in `model.safetensors`: as they are, in half precision, or as bytes.

As bytes, a matrix has a scale for each row (each output), the largest of the row over 127, kept
under the tensor's name with `.scale` behind it; convolutions, where bytes cost captions, are kept
in half precision. Vectors are small, and stay as they are.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Storage", "restore", "squeeze"]

Storage = Literal["float32", "float16", "int8"]

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
    """Make single precision of what `squeeze` made."""
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + SCALE)
        if name.endswith(SCALE) and name.removesuffix(SCALE) in tensors:
            continue
        if scale is not None:
            restored[name] = tensor.float() * scale.unsqueeze(1)
        else:
            restored[name] = tensor.float() if tensor.is_floating_point() else tensor
    return restored
