"""Weights of a model folder: offsets in their file, and checks that they are finite."""

from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.errors import ModelError
from cutline.files import printable
from cutline.models.header import Entry
from cutline.untrusted import shortened

__all__ = ["SCALE", "WEIGHTS", "check_weights"]

WEIGHTS = "model.safetensors"
SCALE = ".scale"  # after the name of a tensor that is stored in bytes
LARGEST_SCALE = float(np.finfo(np.float32).max) / 128  # of which a product with a byte is finite
CHUNK = 1 << 18  # bytes that are looked at together

# of each kind of float: as whole numbers, and those of infinity (less are finite; NaN is more)
BITS: dict[str, tuple[Any, int]] = {
    "F16": (np.dtype("<u2"), 0x7C00),
    "BF16": (np.dtype("<u2"), 0x7F80),
    "F32": (np.dtype("<u4"), 0x7F800000),
    "F64": (np.dtype("<u8"), 0x7FF0000000000000),
}


def check_weights(path: Path, stored: Mapping[str, Entry], names: Iterable[str]) -> None:
    """Refuse weights that are not finite, and scales of bytes that are not positive.

    Args:
        path: their file.
        stored: their offsets in it (`file_offsets`).
        names: of those to look at.

    Raises:
        ModelError: there are such; the first is named.
    """
    with path.open("rb", buffering=0) as file:
        for name in sorted(names, key=lambda name: stored[name].begin):
            entry = stored[name]
            scale = name.endswith(SCALE) and name.removesuffix(SCALE) in stored
            if scale and entry.dtype != "F32":
                raise _broken(path, name, f"are of type {entry.dtype}, not F32")
            for bits in _chunks(file, entry):
                if scale and not _positive(bits):
                    raise _broken(path, name, "are not all positive")
                if not _finite(bits, entry.dtype) or (scale and not _small(bits)):
                    raise _broken(path, name.removesuffix(SCALE), "are not finite (NaN, infinity)")


def _chunks(file: FileIO, entry: Entry) -> Iterator[NDArray[Any]]:
    """Read a tensor of floats as whole numbers of the same bits, part by part."""
    if entry.dtype not in BITS:
        return
    file.seek(entry.begin)
    for begin in range(entry.begin, entry.end, CHUNK):
        yield np.frombuffer(file.read(min(CHUNK, entry.end - begin)), BITS[entry.dtype][0])


def _finite(bits: NDArray[Any], kind: str) -> bool:
    dtype, infinity = BITS[kind]
    return bool((bits & dtype.type(2 ** (8 * dtype.itemsize - 1) - 1)).max() < infinity)


def _positive(bits: NDArray[Any]) -> bool:
    return bool((bits.view(np.float32) > 0).all())


def _small(bits: NDArray[Any]) -> bool:
    return bool(bits.view(np.float32).max() < LARGEST_SCALE)


def _broken(path: Path, name: str, how: str) -> ModelError:
    return ModelError(
        f"{printable(path)}: the weights '{shortened(name)}' {how}; copy the folder again, or take "
        "another model."
    )
