"""Open any picture as upright RGB, or say in one sentence why not; find the pictures people mean.

Nothing of Pillow's or Python's settings stays changed: the size limit is checked here, and
Pillow's warnings are silenced only while a picture is being read.
"""

import glob
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from cutline.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "FoundImages", "find_images", "read_image"]

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
MAX_PIXELS = 178_956_970  # where Pillow, too, speaks of a decompression bomb

# Only these are tried: Pillow would hand PostScript to Ghostscript if it were asked to.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
_ALLOWED = "give a JPEG, PNG, WebP, GIF, BMP or TIFF file"

_ORIENTATION = 0x0112  # the EXIF tag, and what turns each of its values upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Source = Path | str | bytes | BinaryIO | Image.Image


def read_image(
    source: Source,
    *,
    shrink_to: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Image.Image:
    """Return the picture upright, in mode RGB, transparency over white.

    `shrink_to` is the smallest side that is needed: a larger JPEG is then decoded at a half, a
    quarter or an eighth of its size, never with a side below twice `shrink_to`, so that the
    resize that follows sees what it would have seen. `name` is what messages call the picture.

    Raises `ImageError` when there is no such picture, or it is broken, or it has more than
    `max_pixels` pixels (found out before any is decoded).
    """
    name = name or _name_of(source)
    if isinstance(source, Image.Image):
        return _decode(source, name=name, max_pixels=max_pixels)
    if isinstance(source, str | Path):
        stream = _open_file(Path(source), name)
    else:
        stream = _in_memory(source, name)
    with stream, _quiet:
        try:
            image = Image.open(stream, formats=_FORMATS)
        except UnidentifiedImageError:
            raise ImageError(f"{name} is not a picture that can be read; {_ALLOWED}.") from None
        except Image.DecompressionBombError:
            raise _too_large(name, max_pixels) from None
        except Exception as error:  # a fuzzed header raises nearly anything
            raise _damaged(name, error) from error
        with image:
            return _decode(image, name=name, max_pixels=max_pixels, shrink_to=shrink_to)


def _decode(
    image: Image.Image, *, name: str, max_pixels: int, shrink_to: int | None = None
) -> Image.Image:
    if image.width * image.height > max_pixels:
        raise _too_large(name, max_pixels, image.size)
    with _quiet:
        try:
            if shrink_to and isinstance(image, _jpeg_file()):
                image.draft(None, (2 * shrink_to, 2 * shrink_to))
            image.load()  # before the orientation is asked for: a TIFF turns itself upright here
            upright = _turn(_to_rgb(image), _orientation(image))
        except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, zlib.error...
            raise _damaged(name, error) from error
    upright.info = {}  # nobody downstream may turn it a second time
    return upright


def _jpeg_file() -> type[Image.Image]:
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata does not break the picture
        return 1


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _to_8_bits(np.asarray(image).astype(np.float64), tops=(65535.0,))
    elif image.mode == "I":
        image = _to_8_bits(np.asarray(image).astype(np.float64), tops=(255.0, 65535.0))
    elif image.mode == "F":
        image = _to_8_bits(np.asarray(image).astype(np.float64), tops=(1.0, 255.0, 65535.0))
    elif image.mode == "La":  # premultiplied grey, which converts to nothing but LA
        image = image.convert("LA")
    elif image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    turn = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    return ImageCms.applyTransform(image, turn) or image


def _to_8_bits(values: np.ndarray, *, tops: tuple[float, ...]) -> Image.Image:
    """Scale by the first of `tops` that holds all values; stretch them where none does."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    top = next((top for top in tops if low >= 0 and high <= top), None)
    if top is None:
        values, top = values - low, high - low
    return Image.fromarray(np.rint(values * (255.0 / (top or 1.0))).astype(np.uint8))


# --- where the bytes come from ---------------------------------------------------------------


def _open_file(path: Path, name: str) -> BinaryIO:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImageError(f"{name} is a folder, not a picture; {_ALLOWED}.")
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise ImageError(f"{name} is a pipe or a device, not a picture; {_ALLOWED}.")
        if found.st_size == 0:
            raise ImageError(f"{name} is empty (0 bytes); {_ALLOWED}.")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{name} does not exist; {_ALLOWED}.") from None
    except PermissionError:
        raise ImageError(f"{name} may not be read (no permission); {_ALLOWED}.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be opened ({_reason(error)}); {_ALLOWED}.") from error


def _in_memory(source: bytes | BinaryIO, name: str) -> BinaryIO:
    data: object = source
    if not isinstance(source, bytes | bytearray) and hasattr(source, "read"):
        if source.seekable():
            source.seek(0)  # a buffer just written to stands at its end
        data = source.read()
    if not isinstance(data, bytes | bytearray):
        raise ImageError(
            f"{name} is {type(data).__name__}, not bytes; give a path, the bytes of a file, a file "
            "opened with 'rb', or a PIL image."
        )
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); {_ALLOWED}.")
    return io.BytesIO(data)


def _name_of(source: Source) -> str:
    if isinstance(source, str | Path):
        return _printable(source) or "The empty path"
    given = getattr(source, "filename", None) or getattr(source, "name", None)
    return _printable(given) if isinstance(given, str | Path) else "The picture given"


def _printable(path: str | Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).rstrip(".")


def _damaged(name: str, error: BaseException) -> ImageError:
    return ImageError(f"{name} is damaged or cut short ({_reason(error)}); {_ALLOWED}.")


def _too_large(name: str, limit: int, size: tuple[int, int] | None = None) -> ImageError:
    has = f"has {size[0]:,} x {size[1]:,} pixels, more" if size else "has more pixels"
    return ImageError(f"{name} {has} than the {limit:,} allowed; give a smaller picture.")


class _Quiet:
    """Silence Pillow's warnings while at least one thread is reading.

    `warnings.catch_warnings` alone is not for threads: two that overlap may restore each other's
    filters and leave them changed for good. So the first in enters it and the last out leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._catch = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._catch.__exit__(None, None, None)


_quiet = _Quiet()


# --- finding pictures ------------------------------------------------------------------------


class FoundImages(NamedTuple):
    """The files to read, in the order asked for, and a (path, sentence) for what was not found."""

    files: list[Path]
    problems: list[tuple[str, str]]


def find_images(paths: Iterable[str | Path]) -> FoundImages:
    """Expand files, folders and globs; each file comes once, where it was first named.

    A file that is named, or matched by a glob, is kept whatever its suffix. A folder gives every
    picture in it and below it, by suffix, sorted, hidden files and folders left out.
    """
    files: dict[str, Path] = {}  # by absolute path; a dict keeps the order
    problems: list[tuple[str, str]] = []
    for path in (os.fspath(given) for given in paths):
        before, asked = len(problems), 0
        for asked, file in enumerate(_expand(path, problems), start=1):  # noqa: B007
            files.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - keeps symbolic links
        if not asked and len(problems) == before:
            problems.append((path, _nothing_at(path)))
    return FoundImages(list(files.values()), problems)


def _expand(path: str, problems: list[tuple[str, str]]) -> Iterator[Path]:
    if path and Path(path).is_dir():
        yield from _walk(path, problems)
    elif os.path.lexists(path):
        yield Path(path)
    elif glob.has_magic(path):
        for match in sorted(glob.iglob(path, recursive=True)):  # noqa: PTH207 - may be absolute
            yield from _expand(match, problems)


def _walk(folder: str, problems: list[tuple[str, str]]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        place = str(error.filename)
        problems.append((place, f"{_printable(place)} cannot be listed ({_reason(error)})."))

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        pictures = (Path(here, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in pictures if path.suffix.lower() in IMAGE_SUFFIXES)


def _nothing_at(path: str) -> str:
    name = _printable(path) or "The empty path"
    if path and Path(path).is_dir():
        return f"{name} holds no pictures; theirs end in {', '.join(sorted(IMAGE_SUFFIXES))}."
    what = "matches nothing" if glob.has_magic(path) else "does not exist"
    return f"{name} {what}; name a picture, a folder or a glob such as 'photos/*.jpg'."
