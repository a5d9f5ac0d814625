"""Colour profiles (Display P3, Adobe RGB, printers' CMYK, grey): conversion to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

__all__ = ["lab_to_rgb", "to_srgb"]

_LARGEST = 16 * 2**20  # bytes; printers' largest profiles have some 4 million
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # by the profile's own space
_CLOSE = 3  # of 255: a profile that changes no colour by more is sRGB by another name


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture in mode L, RGB or CMYK; a broken or foreign profile is ignored."""
    if not profile or len(profile) > _LARGEST:
        return image
    mode, turn = _transform(bytes(profile))
    if turn is None or not _goes(image.mode, mode):
        return image
    try:
        return ImageCms.applyTransform(image.convert(mode), turn) or image
    except (ImageCms.PyCMSError, ValueError):
        return image


def lab_to_rgb(image: Image.Image) -> Image.Image:
    """Convert CIE L*a*b*."""
    return ImageCms.applyTransform(image, _lab()) or image


def _goes(have: str, want: str) -> bool:
    """Tell whether a profile fits: grey may come with one of RGB, and RGB with a grey one."""
    return have == want or {have, want} == {"L", "RGB"}


@lru_cache(maxsize=16)  # a camera's or phone's pictures all have the same one
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space]
        turn = ImageCms.buildTransform(
            source,
            _srgb(),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return mode, None if mode != "CMYK" and _changes_nothing(turn, mode) else turn
    except Exception:  # a broken profile does not break the picture
        return "RGB", None


def _changes_nothing(turn: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(colours) if mode == "RGB" else Image.fromarray(steps[None])
    after = ImageCms.applyTransform(before, turn)
    if after is None:
        return True
    far = np.abs(np.asarray(after, dtype=int) - np.asarray(before.convert("RGB"), dtype=int))
    return int(far.max()) <= _CLOSE


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
