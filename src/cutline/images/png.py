"""PNG, chunk by chunk: decoded in bands where a picture is large, and cleaned where it is broken.

Pillow decodes a PNG whole. Here the rows are inflated some at a time, and Pillow's own decoder
undoes their filters: every byte of a pixel is filtered by itself, with the byte as far left in the
pixel before and in the row above, so each of these lanes is a small grey PNG of 8 bits.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.images.strips import Strips, rows_at_once

__all__ = ["cleaned", "has_end", "png_strips"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PASSES = ((8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0), (2, 4, 0, 2), (2, 2, 1, 0))
_PIECE = 1 << 18  # bytes read at once
_SHORT = 1000  # bytes; text that is compressed into fewer is below Pillow's limit
_PROFILE = 16 * 2**20  # bytes a colour profile may inflate to


class Header(NamedTuple):
    """IHDR."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def bits(self) -> int:
        """Bits of a pixel."""
        return self.depth * _CHANNELS[self.colour]

    def row(self, width: int) -> int:
        """Bytes of a row of so many pixels."""
        return (width * self.bits + 7) // 8


def png_strips(image: Image.Image, stream: BinaryIO, factor: int, *, strict: bool) -> Strips:
    """Return an opened PNG in strips, decoded one after the other.

    Of an interlaced one the last pass is taken: every second row in full, half of the picture.
    """
    header = _header(stream)
    _find_exif(image, stream)
    rows = _Rows(stream)
    if not header.interlaced:
        size, down = (header.width, header.height), factor
    else:
        factor += factor % 2
        size, down = (header.width, header.height // 2), factor // 2
        for left, top, x, y in _PASSES:
            width = -(-(header.width - x) // left)
            height = -(-(header.height - y) // top)
            rows.skip(max(0, height) * (1 + header.row(width)) if width > 0 else 0)
    return Strips(_bands(image, header, rows, size, down, strict=strict), size, (factor, down))


def _bands(
    image: Image.Image,
    header: Header,
    rows: "_Rows",
    size: tuple[int, int],
    multiple: int,
    *,
    strict: bool,
) -> Iterator[Image.Image]:
    width, height = size
    length = header.row(width)
    lanes = max(1, header.bits // 8)
    above = np.zeros(length, dtype=np.uint8)
    at_once = rows_at_once(width, multiple)
    for top in range(0, height, at_once):
        count = min(at_once, height - top)
        data = rows.read(count * (1 + length))
        there = len(data) // (1 + length)
        if there < count and (strict or 10 * (height - top - there) >= height):
            raise OSError("image file is truncated")
        filtered = np.frombuffer(data, np.uint8, there * (1 + length)).reshape(there, 1 + length)
        plain = np.full((count, length), 128, dtype=np.uint8)  # grey where rows are missing
        plain[:there] = _unfiltered(filtered, above, lanes)
        above = plain[-1]
        yield _picture(image, (width, count), plain)


def _picture(image: Image.Image, size: tuple[int, int], plain: NDArray[np.uint8]) -> Image.Image:
    """Return rows of a PNG's bytes as a picture with what `image` has besides pixels."""
    raw = image.tile[0].args  # type: ignore[attr-defined]
    band = Image.frombytes(image.mode, size, plain.tobytes(), "raw", raw)
    if image.palette is not None:
        band.palette = image.palette.copy()
    if "transparency" in image.info:
        band.info["transparency"] = image.info["transparency"]
    band.load()  # gives the palette to the pixels
    return band


def _unfiltered(rows: NDArray[np.uint8], above: NDArray[np.uint8], lanes: int) -> NDArray[np.uint8]:
    plain = np.empty((len(rows), rows.shape[1] - 1), dtype=np.uint8)
    for lane in range(lanes if len(rows) else 0):
        part = np.zeros((len(rows) + 1, 1 + plain.shape[1] // lanes), dtype=np.uint8)
        part[0, 1:] = above[lane::lanes]
        part[1:, 0] = rows[:, 0]
        part[1:, 1:] = rows[:, 1 + lane :: lanes]
        plain[:, lane::lanes] = _grey(part)[1:]
    return plain


def _grey(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    header = struct.pack(">IIBBBBB", rows.shape[1] - 1, rows.shape[0], 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b"")]
    data = io.BytesIO(_SIGNATURE + b"".join(_chunk(*part) for part in parts))
    with Image.open(data, formats=["PNG"]) as image:
        return np.asarray(image)


class _Rows:
    """The inflated bytes of all IDAT chunks, read from the front."""

    def __init__(self, stream: BinaryIO) -> None:
        self._pieces = _image_data(stream)
        self._inflate = zlib.decompressobj()
        self._rest = b""

    def read(self, count: int) -> bytearray:
        """Return so many bytes, or fewer where the data end or are broken."""
        found = bytearray()
        while len(found) < count and not self._inflate.eof:
            try:
                got = self._inflate.decompress(self._rest, count - len(found))
            except zlib.error:
                break
            self._rest = self._inflate.unconsumed_tail
            found += got
            if not got and not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
        return found

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        while count > 0 and (got := self.read(min(count, _PIECE))):
            count -= len(got)


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's kind, where its data begin, and how many they are."""
    stream.seek(len(_SIGNATURE))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        start = stream.tell()
        yield kind, start, length
        stream.seek(start + length + 4)


def _image_data(stream: BinaryIO) -> Iterator[bytes]:
    for kind, start, length in _chunks(stream):
        stream.seek(start)
        end = start + length
        while kind == b"IDAT" and (piece := stream.read(min(end - stream.tell(), _PIECE))):
            yield piece
        if kind == b"IEND":
            return


def _find_exif(image: Image.Image, stream: BinaryIO) -> None:
    """Look for the orientation behind the pixels, too, where Pillow has not been yet."""
    for kind, start, length in _chunks(stream):
        if kind == b"eXIf" and "exif" not in image.info:
            stream.seek(start)
            image.info["exif"] = b"Exif\0\0" + stream.read(min(length, 1 << 16))


def _header(stream: BinaryIO) -> Header:
    stream.seek(16)
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", stream.read(13))
    return Header(width, height, depth, colour, bool(interlace))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- broken ones ---------------------------------------------------------------------------------


def has_end(stream: BinaryIO) -> bool:
    """Tell whether a PNG's last chunk is there, whole."""
    for kind, _, length in _chunks(stream):
        if kind == b"IEND":
            stream.seek(length, 1)
            return len(stream.read(4)) == 4
    return False


def cleaned(stream: BinaryIO) -> tuple[BinaryIO, bytes | None]:
    """Return a PNG without the chunks that no viewer needs, and its colour profile.

    Text and profiles larger than Pillow allows are gone, and whatever has a wrong checksum; of the
    animation, if it is one, the first picture is left.
    """
    kept = [_SIGNATURE]
    profile = None
    for kind, start, length in _chunks(stream):
        stream.seek(start)
        data = stream.read(length)
        whole = stream.read(4) == struct.pack(">I", zlib.crc32(kind + data))
        if kind[0] & 0x20 == 0:  # critical
            kept.append(_chunk(kind, data) if whole else _as_is(kind, length, data))
        elif whole and kind == b"iCCP":
            profile = _inflated_profile(data)
        elif whole and (kind in (b"tRNS", b"eXIf") or (kind[1:] == b"TXt" and length < _SHORT)):
            kept.append(_chunk(kind, data))
        if kind == b"IEND":
            break
    return io.BytesIO(b"".join(kept)), profile


def _as_is(kind: bytes, length: int, data: bytes) -> bytes:
    """Return a chunk whose checksum is wrong, or that is cut short, so that it stays so."""
    return struct.pack(">I", length) + kind + data + b"\0\0\0\0" * (len(data) == length)


def _inflated_profile(data: bytes) -> bytes | None:
    _, _, rest = data.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(rest[1:], _PROFILE)
    except zlib.error:
        return None
