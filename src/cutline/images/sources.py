"""Image sources: a file, memory, a stream, an array."""

import io
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.errors import ImageError
from cutline.files import printable
from cutline.images.kinds import ALLOWED

__all__ = ["MAX_BYTES", "Source", "name_of", "of_array", "open_source", "reason"]

MAX_BYTES = 256_000_000  # of a picture among many in one file, or at an address

Source = Path | str | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[np.uint8]
_SOURCES = (
    "give a path, the bytes of a file, a file opened with 'rb', a PIL image, or a numpy array "
    "(H, W, 3) of uint8"
)


def open_source(source: object, name: str) -> BinaryIO:
    """Return a stream at its start that can seek."""
    if isinstance(source, str | Path):
        return _open_file(Path(source), name)
    return _in_memory(source, name)


def of_array(array: NDArray[Any], name: str) -> Image.Image:
    """Return an array (H, W, 3) of bytes as a picture; anything else is guesswork and refused."""
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and array.size:
        return Image.fromarray(np.ascontiguousarray(array))
    raise ImageError(
        f"{name} is an array of shape {array.shape} and type {array.dtype}; give one of shape "
        f"(height, width, 3) and type uint8{_hint(array)}."
    )


def _hint(array: NDArray[Any]) -> str:
    if array.ndim == 2:
        return ": np.stack([grey] * 3, axis=-1)"
    if array.ndim == 4:
        return "; for several pictures, list(arrays)"
    if array.ndim == 3 and array.shape[2] == 4:
        return ": array[:, :, :3]"
    if array.ndim == 3 and array.shape[2] != 3 and array.shape[0] == 3:
        return ": array.transpose(1, 2, 0)"
    if array.dtype.kind == "f":
        return ": (array * 255).round().astype('uint8') of values in 0..1"
    return ""


def name_of(source: object) -> str:
    """Return what messages call a picture, safe for a terminal."""
    if isinstance(source, str | Path):
        return printable(source) or "The empty path"
    given = getattr(source, "filename", None) or getattr(source, "name", None)
    return printable(given) if isinstance(given, str | Path) and given else "The picture given"


def reason(error: BaseException) -> str:
    """Return in a few words what went wrong."""
    said = str(getattr(error, "strerror", None) or error or type(error).__name__)
    return printable(said.strip().rstrip("."))


def _open_file(path: Path, name: str) -> BinaryIO:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImageError(f"{name} is a folder, not a picture; {ALLOWED}.")
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise ImageError(f"{name} is a pipe or a device, not a picture; {ALLOWED}.")
        if found.st_size == 0:
            raise ImageError(f"{name} is empty (0 bytes); {ALLOWED}.")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{name} does not exist; {ALLOWED}.") from None
    except PermissionError:
        raise ImageError(f"{name} may not be read (no permission); {ALLOWED}.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be opened ({reason(error)}); {ALLOWED}.") from error


def _in_memory(source: object, name: str) -> BinaryIO:
    data: object = source
    if not isinstance(source, bytes | bytearray | memoryview) and hasattr(source, "read"):
        data = "" if isinstance(source, io.TextIOBase) else _read(source, name)
    if isinstance(data, str):
        raise ImageError(
            f"{name} was opened as text, so it is str, not bytes; give a path, or open it with "
            "'rb'."
        )
    if isinstance(data, list | tuple):
        raise ImageError(f"{name} is a list within a list; give one flat list of pictures.")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ImageError(f"{name} is {type(data).__name__}, not bytes; {_SOURCES}.")
    if not len(data):
        raise ImageError(f"{name} is empty (0 bytes); {ALLOWED}.")
    return io.BytesIO(data)


def _read(source: Any, name: str) -> object:
    try:
        if source.seekable():
            source.seek(0)  # a buffer just written to stands at its end
        return source.read()
    except (OSError, ValueError) as error:  # closed, or opened for writing only
        raise ImageError(f"{name} cannot be read ({reason(error)}); {_SOURCES}.") from error
