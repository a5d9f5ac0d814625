"""Memory estimates: bytes that decoding a picture takes, before any are taken."""

import ctypes
import sys

from PIL import Image

__all__ = ["MAX_BYTES", "bytes_needed", "give_back", "jpeg2000_levels"]

MAX_BYTES = 360_000_000

_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # else 4
# What the libraries take besides, for each pixel, as measured: planes, canvases, copies.
_BESIDES = {"WEBP": 13, "AVIF": 8, "HEIF": 8, "JPEG2000": 15}


def bytes_needed(image: Image.Image, whole: tuple[int, int], file_size: int) -> int:
    """Return about how many bytes decoding an opened picture takes, `whole` its full size."""
    pixels = image.width * image.height
    form = image.format or ""
    if form == "JPEG2000":  # decoded at a smaller size, but all of its bytes are kept
        pixels //= 4 ** getattr(image, "_reduce", 0)
    needed = pixels * (_PIXEL.get(image.mode, 4) + _BESIDES.get(form, 0))
    if form == "JPEG2000":
        needed += 3 * file_size
    return needed + _coefficients(image, whole)


def _coefficients(image: Image.Image, whole: tuple[int, int]) -> int:
    """Return what a progressive JPEG's coefficients take: all are kept until the last scan."""
    layers = getattr(image, "layer", None)
    if not image.info.get("progressive") or not layers:
        return 0
    across, down = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    samples = sum(layer[1] * layer[2] for layer in layers) / (across * down)
    return int(whole[0] * whole[1] * samples * 2)


def jpeg2000_levels(head: bytes) -> int:
    """Return how often a JPEG 2000 picture can be halved in decoding, by its COD marker."""
    at = head.find(b"\xff\x52\x00")
    return head[at + 9] if 0 <= at < len(head) - 9 else 0


def give_back() -> None:
    """Return freed memory to the system, where it is glibc that keeps it for itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
