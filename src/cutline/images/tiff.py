"""Uncompressed pictures (BMP, TIFF) and TIFFs in strips or tiles, decoded some rows at a time."""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from cutline.images.colour import flatten
from cutline.images.strips import Strips, rows_at_once

__all__ = ["raw_strips", "tiff_strips"]

_WIDTH, _HEIGHT, _COMPRESSION, _PLANAR, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = (
    *(256, 257, 259, 284, 278),
    *(322, 323),
)
_STRIPS, _TILES = (273, 279), (324, 325)  # the tags of where they are, and of how many bytes
_KEPT = (  # the tags that say how pixels are to be decoded
    *(_WIDTH, 258, _COMPRESSION, 262, 266, 277, _PLANAR, 292, 293, 317, 320, _TILE_WIDTH),
    *(_TILE_HEIGHT, 338, 339, 347, 530, 531, 532),
)
_JPEG_OF_OLD = 6  # a compression whose strips are no pictures by themselves


# --- uncompressed --------------------------------------------------------------------------------


class _Block(NamedTuple):
    """Offsets of a rectangle's rows; of those that are stored upside down the last is first."""

    box: tuple[int, int, int, int]
    offset: int
    mode: str
    row: int  # bytes
    upwards: bool


def raw_strips(image: Image.Image, stream: BinaryIO, factor: int) -> Strips | None:
    """Return an opened BMP or TIFF in strips; None of one that is compressed."""
    tiles = image.tile  # type: ignore[attr-defined]
    size = getattr(image, "_tile_size", image.size)
    row_bits = _bits(image)
    if not tiles or row_bits is None or any(tile.codec_name != "raw" for tile in tiles):
        return None
    blocks = []
    for _, box, offset, (mode, stride, way) in tiles:
        row = stride or ((box[2] - box[0]) * row_bits + 7) // 8
        blocks.append(_Block(box, offset, mode, row, way < 0))
    return Strips(_read_blocks(image, stream, blocks, size, factor), size, (factor, factor))


def _bits(image: Image.Image) -> int | None:
    """Return the bits of a pixel; None where each band is stored by itself."""
    if not isinstance(image, TiffImageFile):
        return 0  # a BMP says how long its rows are
    tags = image.tag_v2
    depths = tags.get(258, (1,))
    count = tags.get(277, 1)
    if tags.get(_PLANAR, 1) != 1:
        return None
    return sum(depths) if len(depths) == count else depths[0] * count


def _read_blocks(
    image: Image.Image,
    stream: BinaryIO,
    blocks: list[_Block],
    size: tuple[int, int],
    multiple: int,
) -> Iterator[Image.Image]:
    width, height = size
    rows = rows_at_once(width, multiple)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        strip = Image.new(image.mode, (width, end - top))
        for block in blocks:
            first, last = max(top, block.box[1]), min(end, block.box[3])
            if first < last:
                strip.paste(
                    _read_block(image, stream, block, first, last), (block.box[0], first - top)
                )
        if image.palette is not None:
            strip.palette = image.palette.copy()
            strip.load()
        yield strip


def _read_block(
    image: Image.Image, stream: BinaryIO, block: _Block, first: int, last: int
) -> Image.Image:
    left, top, right, bottom = block.box
    start = bottom - last if block.upwards else first - top
    stream.seek(block.offset + start * block.row)
    data = stream.read((last - first) * block.row)
    if len(data) < (last - first) * block.row:
        raise OSError("image file is truncated")
    way = -1 if block.upwards else 1
    return Image.frombytes(
        image.mode, (right - left, last - first), data, "raw", block.mode, block.row, way
    )


# --- compressed ----------------------------------------------------------------------------------


def tiff_strips(image: TiffImageFile, stream: BinaryIO, factor: int) -> Strips | None:
    """Return an opened TIFF in strips, each a TIFF made of some of its own strips or tiles.

    None where that is not how it is stored, or where one of them is most of the picture.
    """
    tags = image.tag_v2
    tiled = _TILES[0] in tags
    at, count = (tags.get(tag, ()) for tag in (_TILES if tiled else _STRIPS))
    size = tags[_WIDTH], tags[_HEIGHT]
    high = tags.get(_TILE_HEIGHT, 0) if tiled else min(tags.get(_ROWS, size[1]), size[1])
    wide = -(-size[0] // tags.get(_TILE_WIDTH, size[0])) if tiled else 1
    if (
        tags.get(_PLANAR, 1) != 1
        or tags.get(_COMPRESSION) == _JPEG_OF_OLD
        or high < 1
        or high * 8 > size[1]
        or len(at) != len(count)
        or len(at) != wide * -(-size[1] // high)
    ):
        return None
    parts = list(zip(at, count, strict=True))
    rows = [parts[start : start + wide] for start in range(0, len(parts), wide)]
    flat = map(flatten, _read_rows(tags, stream, rows, high, size))
    return Strips(_even(flat, factor), size, (factor, factor))


def _read_rows(
    tags: ImageFileDirectory_v2,
    stream: BinaryIO,
    rows: list[list[tuple[int, int]]],
    high: int,
    size: tuple[int, int],
) -> Iterator[Image.Image]:
    at_once = max(1, rows_at_once(size[0], 1) // high)
    for start in range(0, len(rows), at_once):
        some = [part for row in rows[start : start + at_once] for part in row]
        height = min(at_once * high, size[1] - start * high)
        with Image.open(_small_tiff(tags, stream, some, height, high), formats=["TIFF"]) as part:
            part.load()
            yield part


def _small_tiff(
    tags: ImageFileDirectory_v2,
    stream: BinaryIO,
    parts: list[tuple[int, int]],
    height: int,
    high: int,
) -> BinaryIO:
    """Return a TIFF of some strips or tiles of another: header, its own directory, their bytes."""
    body = bytearray()
    places = []
    for offset, count in parts:
        places.append(len(body))
        stream.seek(offset)
        body += stream.read(count)
    tiled = _TILES[0] in tags
    where, counts = _TILES if tiled else _STRIPS
    made = ImageFileDirectory_v2(prefix=tags.prefix)
    for tag in _KEPT:
        if tag in tags:
            made.tagtype[tag] = tags.tagtype[tag]
            made[tag] = tags[tag]
    values: dict[int, Any] = {
        _HEIGHT: height,
        where: tuple(places),
        counts: tuple(count for _, count in parts),
    }
    if not tiled:
        values[_ROWS] = min(high, height)
    for tag, value in values.items():
        made.tagtype[tag] = 4  # LONG
        made[tag] = value
    if tiled:  # Pillow itself moves strips behind the directory, but no tiles
        behind = 8 + len(made.tobytes(8))
        made[where] = tuple(behind + place for place in places)
    order = "<" if tags.prefix == b"II" else ">"
    header = tags.prefix + struct.pack(f"{order}HI", 42, 8)
    return io.BytesIO(header + made.tobytes(8) + body)


def _even(strips: Iterator[Image.Image], multiple: int) -> Iterator[Image.Image]:
    """Cut strips anew, so that each but the last has a multiple of so many rows."""
    rest: Image.Image | None = None
    for strip in strips:
        whole = strip if rest is None else _below(rest, strip)
        even = whole.height - whole.height % multiple
        if even:
            yield whole.crop((0, 0, whole.width, even))
        rest = whole.crop((0, even, whole.width, whole.height)) if even < whole.height else None
    if rest is not None:
        yield rest


def _below(upper: Image.Image, lower: Image.Image) -> Image.Image:
    both = Image.new(lower.mode, (lower.width, upper.height + lower.height))
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height))
    return both
