"""Header of a safetensors file: names, types, shapes and offsets, without the numbers.

    8 bytes   length of the header, little-endian
    header    JSON: {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    data      the tensors, one after the other, without gaps

https://huggingface.co/docs/safetensors. Needs no deep-learning stack: whoever loads a model looks
here first, before any memory is spent on it.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from cutline.errors import ModelError
from cutline.untrusted import MEGABYTE, check_size, shortened

__all__ = ["Entry", "file_offsets", "read_header"]

LARGEST_FILE = 40_000 * MEGABYTE  # timm's largest backbone has 27,000
LARGEST_HEADER = 2 * MEGABYTE
MOST_TENSORS = 20_000
LONGEST_NAME = 500
MOST_DIMENSIONS = 8
KEYS = ("dtype", "shape", "data_offsets")
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


class Entry(NamedTuple):
    """A tensor of the file: its type in the format's words, its shape, its first and last byte."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, Entry]:
    """Read and check the header of a safetensors file.

    Raises:
        ModelError: the file is cut off or damaged, or says of itself what cannot be.
    """
    size = check_size(path, at_most=LARGEST_FILE)
    content, data = _read(path, size)
    if not isinstance(content, dict):
        raise _damaged(path, "its header is no list of tensors")
    content.pop("__metadata__", None)
    if len(content) > MOST_TENSORS:
        raise _damaged(path, f"it has {len(content):,} tensors")
    entries = {name: _entry(path, name, told) for name, told in content.items()}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            raise _damaged(path, f"'{shortened(name)}' does not begin where the one before ends")
        end = entry.end
    if end != data:
        raise _damaged(path, f"its tensors have {end:,} bytes, but the file has {data:,} for them")
    return entries


def file_offsets(path: Path, header: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return a file's header with `begin` and `end` counted from the file's first byte."""
    with path.open("rb") as file:
        start = 8 + int(struct.unpack("<Q", file.read(8))[0])
    return {
        name: entry._replace(begin=start + entry.begin, end=start + entry.end)
        for name, entry in header.items()
    }


def _read(path: Path, size: int) -> tuple[Any, int]:
    """Return the header, and the number of bytes behind it."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length + 8 > size:
                raise _damaged(path, "the file ends before its header does")
            if length > LARGEST_HEADER:
                raise _damaged(path, f"its header has {length:,} bytes")
            return json.loads(file.read(length)), size - length - 8
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not JSON") from None
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from None


def _entry(path: Path, name: str, told: Any) -> Entry:
    fault = f"'{shortened(name)}' is not described as a tensor is"
    if len(name) > LONGEST_NAME or not isinstance(told, Mapping):
        raise _damaged(path, fault)
    dtype, shape, offsets = (cast(Any, told.get(key)) for key in KEYS)
    if not (isinstance(dtype, str) and _numbers(shape) and _numbers(offsets)):
        raise _damaged(path, fault)
    if dtype not in BYTES or len(shape) > MOST_DIMENSIONS or len(offsets) != 2:
        raise _damaged(path, fault)
    entry = Entry(dtype, tuple(shape), *offsets)
    if math.prod(shape) * BYTES[dtype] != entry.end - entry.begin:
        raise _damaged(path, f"'{shortened(name)}' has not as many bytes as its shape takes")
    return entry


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"{shortened(path, longest=1000)} is cut off or damaged ({reason}); copy the file again, "
        "or train again."
    )
