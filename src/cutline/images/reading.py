"""Image reader: any picture as upright RGB, or a sentence that says why not.

Nothing of Pillow's or Python's settings stays changed: the size limit is checked here, and
Pillow's warnings are silenced only while a picture is being read. An ordinary picture goes one
way: opened, decoded, flattened, turned. A large one is decoded strip by strip, and whatever
Pillow refuses is looked at once more by `mending`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from cutline.errors import ImageError, ImageTooLargeError
from cutline.images import mending
from cutline.images.colour import orientation_of, to_rgb, turn_upright
from cutline.images.kinds import ALLOWED, Kind, formats, kind_of_bytes
from cutline.images.memory import MAX_BYTES, bytes_needed, give_back, jpeg2000_levels
from cutline.images.png import cleaned, png_strips
from cutline.images.quiet import quiet
from cutline.images.refusing import refuse_cut, refuse_foreign, refuse_raw
from cutline.images.sources import Source, name_of, of_array, open_source, reason
from cutline.images.strips import Strips, factor_for, large, shrink, strips_of
from cutline.images.tiff import raw_strips, tiff_strips

__all__ = ["MAX_PIXELS", "read_image"]

MAX_PIXELS = 178_956_970  # where Pillow, too, speaks of a decompression bomb


class _Wanted(NamedTuple):
    """Options of reading; `profile` is a colour profile that Pillow does not see."""

    name: str
    shrink_to: int | None
    max_pixels: int
    strict: bool
    profile: bytes | None = None


def read_image(
    source: Source,
    *,
    shrink_to: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    strict: bool = False,
) -> Image.Image:
    """Return the picture upright, in mode RGB and sRGB's colours, transparency over white.

    A large picture is made smaller by a whole number while it is decoded, strip by strip, so that
    it never needs the memory of its size: one of more than 32 million pixels always, one of more
    than 6 million with `shrink_to`, the smallest side that is needed. A JPEG is then decoded at a
    half, a quarter or an eighth of its size. No side comes out below twice `shrink_to`, so that
    the resize that follows sees what it would have seen (unless 6 million pixels were left then).
    `name` is what messages call the picture.

    A picture that lacks its end is opened, grey where nothing is, unless `strict` or a tenth of it
    is missing.

    Raises `ImageError` when there is no such picture, or it is broken, or it has more than
    `max_pixels` pixels or needs too much memory (both found out before any is decoded).
    """
    name = name or name_of(source)
    wanted = _Wanted(name, shrink_to, max_pixels, strict)
    with quiet, _enough_memory(name):
        given = of_array(source, name) if isinstance(source, np.ndarray) else source
        if isinstance(given, Image.Image):
            return _given(given, wanted)
        with open_source(given, name) as stream:
            refuse_foreign(stream, name)
            if strict:
                refuse_cut(stream, name)
            return _read(stream, wanted)


def _given(image: Image.Image, wanted: _Wanted) -> Image.Image:
    _check_size(image, wanted)
    try:
        image.load()  # before the orientation is asked for: a TIFF turns itself upright here
        return _finished(image, strips_of(image, factor_for(image.size, wanted.shrink_to)), wanted)
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(wanted.name, error) from error


def _read(stream: BinaryIO, wanted: _Wanted) -> Image.Image:
    try:
        return _decoded(stream, wanted)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, zlib.error...
        if "out of memory" in str(error):
            raise MemoryError from error
        mended = _mended(stream, wanted)
        if mended is not None:
            return mended
        stream.seek(0)
        raise _damaged(wanted.name, error, kind_of_bytes(stream.read(1024))) from error


def _decoded(stream: BinaryIO, wanted: _Wanted) -> Image.Image:
    stream.seek(0)
    try:
        image = Image.open(stream, formats=formats())
    except Image.DecompressionBombError:
        raise _too_large(wanted.name, wanted.max_pixels) from None
    with image:
        _check_size(image, wanted)
        refuse_raw(image, wanted.name)
        is_large = image.width * image.height > large(wanted.shrink_to)
        found = _finished(image, _strips(image, stream, wanted), wanted)
    if is_large:
        image.close()  # lets go of the pixels
        give_back()
    return found


def _finished(image: Image.Image, strips: Strips, wanted: _Wanted) -> Image.Image:
    """Return RGB, upright; the strips are decoded here, one after the other."""
    small = shrink(strips)
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        small.tag_v2 = tags  # type: ignore[attr-defined]  # says which value means "no data"
    profile = wanted.profile or image.info.get("icc_profile")
    upright = turn_upright(to_rgb(small, profile), orientation_of(image))
    upright.info = {}  # nobody downstream may turn it a second time
    return upright


def _strips(image: Image.Image, stream: BinaryIO, wanted: _Wanted) -> Strips:
    """Decode at a smaller size, or strip by strip, or whole, whichever is the first that goes."""
    whole = image.size
    _decode_smaller(image, stream, wanted.shrink_to)
    factor = factor_for(image.size, wanted.shrink_to)
    strips = _apart(image, stream, factor, wanted) if factor > 1 else None
    if strips is None:
        needed = bytes_needed(image, whole, stream.seek(0, 2))
        if needed > MAX_BYTES:
            raise _too_heavy(wanted.name, image, whole, needed)
        image.load()  # before the orientation is asked for: a TIFF turns itself upright here
        strips = strips_of(image, factor_for(image.size, wanted.shrink_to))
    return strips


def _decode_smaller(image: Image.Image, stream: BinaryIO, shrink_to: int | None) -> None:
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
    from PIL.JpegImagePlugin import JpegImageFile

    if isinstance(image, JpegImageFile):
        if shrink_to:
            image.draft(None, (2 * shrink_to, 2 * shrink_to))
        elif (factor := factor_for(image.size, None)) > 1:
            image.draft(None, (image.width // factor, image.height // factor))
    elif isinstance(image, Jpeg2KImageFile) and image.width * image.height > large(shrink_to):
        stream.seek(0)
        levels = jpeg2000_levels(stream.read(1 << 16))
        image.reduce = min(levels, factor_for(image.size, shrink_to).bit_length() - 1)


def _apart(image: Image.Image, stream: BinaryIO, factor: int, wanted: _Wanted) -> Strips | None:
    from PIL.TiffImagePlugin import TiffImageFile

    if image.format == "PNG":
        return png_strips(image, stream, factor, strict=wanted.strict)
    if image.format not in ("TIFF", "BMP", "DIB"):
        return None
    strips = raw_strips(image, stream, factor)
    if strips is None and isinstance(image, TiffImageFile):
        strips = tiff_strips(image, stream, factor)
    return strips


def _mended(stream: BinaryIO, wanted: _Wanted) -> Image.Image | None:
    """Try what viewers do about a broken picture; None where it is too broken."""
    stream.seek(0)
    head = stream.read(12)
    whole: BinaryIO | None = None
    if head.startswith(b"\x89PNG"):
        stream, profile = cleaned(stream)
        wanted = wanted._replace(profile=profile)
        whole = stream
    elif head.startswith(b"\xff\xd8") and not wanted.strict:
        whole = mending.whole_jpeg(stream)
    elif head.startswith(b"RIFF") and not wanted.strict:
        whole = mending.whole_webp(stream)
    try:
        if whole is not None:
            return _decoded(whole, wanted)
    except (ImageError, MemoryError):
        raise
    except Exception:
        whole = None
    return None if wanted.strict else _partly(stream, wanted)


def _partly(stream: BinaryIO, wanted: _Wanted) -> Image.Image | None:
    def check(image: Image.Image) -> None:
        _check_size(image, wanted)
        refuse_raw(image, wanted.name)
        if 2 * bytes_needed(image, image.size, 0) > MAX_BYTES:
            raise ValueError("it is large, and broken")

    try:
        found = mending.onto_grey(stream, check)
        if found is None:
            return None
        image, pixels = found
        factor = factor_for(pixels.size, wanted.shrink_to)
        return _finished(image, strips_of(pixels, factor), wanted)
    except (ImageError, MemoryError):
        raise
    except Exception:
        return None


# --- sentences -----------------------------------------------------------------------------------


def _check_size(image: Image.Image, wanted: _Wanted) -> None:
    if image.width * image.height > wanted.max_pixels:
        raise _too_large(wanted.name, wanted.max_pixels, image.size)


def _damaged(name: str, error: BaseException, kind: Kind | None = None) -> ImageError:
    why = reason(error)
    if isinstance(error, UnidentifiedImageError):
        if kind is None:
            return ImageError(f"{name} is not a picture that can be read; {ALLOWED}.")
        why = f"it begins as {kind} file, but goes on as none"
    return ImageError(f"{name} is damaged or cut short ({why}); {ALLOWED}.")


def _too_large(name: str, limit: int, size: tuple[int, int] | None = None) -> ImageTooLargeError:
    has = f"has {size[0]:,} x {size[1]:,} pixels, more" if size else "has more pixels"
    return ImageTooLargeError(f"{name} {has} than the {limit:,} allowed; give a smaller picture.")


def _too_heavy(name: str, image: Image.Image, size: tuple[int, int], needed: int) -> ImageError:
    kind = f"progressive {image.format}" if image.info.get("progressive") else image.format
    return ImageError(
        f"{name} has {size[0]:,} x {size[1]:,} pixels, and as {kind} it takes {needed / 1e6:,.0f} "
        f"MB to open, more than the {MAX_BYTES / 1e6:,.0f} allowed; save it smaller, or as a PNG."
    )


@contextmanager
def _enough_memory(name: str) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise ImageError(
            f"There is not enough memory to read {name}; give a smaller picture, or free some."
        ) from error
