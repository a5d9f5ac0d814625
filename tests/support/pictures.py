"""Pictures of every format, and the parts of files that tests break."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

SMOOTH = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
).resize((320, 240), Image.Resampling.BICUBIC)
FORMATS = {  # a name, and how Pillow is asked for it
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {}),
    "lossless": ("WEBP", {"lossless": True}),
    "ppm": ("PPM", {}),
    "jp2": ("JPEG2000", {}),
    "avif": ("AVIF", {"speed": 10}),
}


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def made(name: str) -> bytes:
    """The smooth picture in a file of a format; made once, because GIF takes its time."""
    return made_of(SMOOTH, name)


def made_of(image: Image.Image, name: str) -> bytes:
    kind, options = FORMATS[name]
    return file_of(image, kind, **options)


def chunk(kind: bytes, data: bytes, *, whole: bool = True) -> bytes:
    """A chunk of a PNG; its checksum is wrong if it is not `whole`."""
    check = zlib.crc32(kind + data) ^ (not whole)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def with_chunk(png: bytes, extra: bytes, *, before: bytes = b"IDAT") -> bytes:
    at = png.index(before) - 4
    return png[:at] + extra + png[at:]


# --- colour profiles -----------------------------------------------------------------------------

WHITE = (0.9642, 1.0, 0.8249)
PRIMARIES = {  # red, green and blue as XYZ under D50
    "Display P3": (
        (0.51512, 0.2412, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.1571, 0.06657, 0.78407),
    ),
    "Adobe RGB": (
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    ),
}


def profile_of(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2."""
    tags = {b"desc": _text(b"made for a test"), b"wtpt": _xyz(WHITE), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">III", 0, 0, 0x02400000) + kind + space + pcs + bytes(12)
    head += b"acsp" + bytes(28)
    head += b"".join(struct.pack(">i", round(65536 * value)) for value in WHITE)
    whole = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def rgb_profile(name: str, gamma: float = 2.2) -> bytes:
    places = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, PRIMARIES[name]), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return profile_of(b"RGB ", places | curves)


def grey_profile(gamma: float) -> bytes:
    return profile_of(b"GRAY", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """Inks as a press prints them: cyan is (55, -37, -50) in Lab, and any other ink is dark."""
    corners = bytearray()
    for corner in range(16):  # cyan changes slowest
        inks = f"{corner:04b}"
        lightness, a, b = {"0000": (100, 0, 0), "1000": (55, -37, -50)}.get(inks, (10, 0, 0))
        corners += bytes((round(lightness * 2.55), a + 128, b + 128))
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (at in (0, 4, 8))) for at in range(9))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + corners + ramp * 3
    return profile_of(b"CMYK", {b"A2B0": table}, pcs=b"Lab ")


def _xyz(place: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(65536 * value)) for value in place)


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma))


def _text(text: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67)
