"""Colour modes: from any mode of Pillow's to RGB, in two steps.

`flatten` may be done strip by strip; `to_rgb` sees the whole picture, made small by then.
"""

from PIL import Image

from cutline.images.profiles import lab_to_rgb, to_srgb
from cutline.images.values import WIDE_MODES, to_bytes

__all__ = ["flatten", "orientation_of", "to_rgb", "turn_upright"]

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


def flatten(image: Image.Image) -> Image.Image:
    """Return a picture without palette and transparency (over white): L, RGB, CMYK or wide grey."""
    if image.mode in WIDE_MODES:
        return image
    if image.mode == "LAB":
        return lab_to_rgb(image)
    if image.mode == "La":  # premultiplied grey, which converts to nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return what `flatten` returned as RGB, in sRGB's colours."""
    if image.mode in WIDE_MODES:
        image = to_bytes(image)
    return to_srgb(image, profile).convert("RGB")


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn by a value of the EXIF tag."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def orientation_of(image: Image.Image) -> int:
    """Return the value of the EXIF tag; 1 is upright."""
    try:
        # by its first name: a PNG's own method decodes all of it
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # broken metadata does not break the picture
        return 1
