"""Wide grey and floats are scaled by what is there; colour profiles become sRGB."""

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from cutline.images import read_image
from support.pictures import (
    SMOOTH,
    cmyk_profile,
    file_of,
    grey_profile,
    made,
    rgb_profile,
)

RAMP = np.linspace(0, 1, 60 * 80).reshape(60, 80)


def grey(values: np.ndarray, kind: str = "TIFF", **options: object) -> np.ndarray:
    return np.asarray(read_image(file_of(Image.fromarray(values), kind, **options)))[..., 0]


def is_ramp(seen: np.ndarray, within: float = 3) -> bool:
    return bool(np.abs(np.median(seen, axis=1) - np.median(RAMP, axis=1) * 255).max() <= within)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_a_file_of_16_are_as_bright_as_in_a_file_of_their_own(bits, kind):
    assert is_ramp(grey((RAMP * (2**bits - 1)).astype(np.uint16), kind))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_few_hot_pixels_do_not_make_12_bits_dark(kind):
    values = (RAMP * 4095).astype(np.uint16)
    values[3, [4, 9]] = 65535
    assert is_ramp(grey(values, kind))


def test_16_bits_that_are_used_keep_their_look():
    values = (20_000 + RAMP * 20_000).astype(np.uint16)
    assert np.allclose(grey(values, "PNG"), np.rint(values / 257), atol=1)


@pytest.mark.parametrize("area", [(slice(5, 6), slice(7, 8)), (slice(0, 12), slice(0, 80))])
@pytest.mark.parametrize("nodata", [-9999, -32768, 1e38, -3.4e38, 1e20, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (255, 0), (8000, 0), (300, 1200)])
def test_a_value_that_means_no_data_changes_no_other_pixel(nodata, area, scale, offset):
    values = (RAMP * scale + offset).astype(np.float32)
    values[area] = nodata
    seen = grey(values)
    assert np.abs(seen[12:].astype(int) - RAMP[12:] * 255).max() <= (60 if area[0].stop > 6 else 3)
    assert seen[12:].max() == 255
    assert not (seen[area] == 255).all()


def test_the_value_that_gdal_writes_down_as_no_data_is_believed():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[42113] = "-1"
    values = (RAMP * 0.5 + 0.5).astype(np.float32)
    values[:20] = -1
    seen = grey(values, tiffinfo=tags)
    assert seen[:20].max() == 0
    assert seen[-1, -1] == 255
    assert abs(int(seen[30, 0]) - 255 * values[30, 0]) <= 1


def test_nodata_in_16_bits_with_a_sign_is_no_range_either():
    values = (RAMP * 4095).astype(np.int32)
    values[0, 0] = -32768
    assert is_ramp(grey(values))


def test_small_values_of_any_width_can_be_seen():
    assert is_ramp(grey((RAMP * 0.02).astype(np.float32)))
    assert grey((np.arange(12).reshape(3, 4)).astype(np.uint16), "PNG").max() == 255


def test_nothing_but_nodata_is_black():
    assert grey(np.full((4, 4), np.nan, dtype=np.float32)).max() == 0


# --- profiles ------------------------------------------------------------------------------------


def colour(value: object, mode: str, profile: bytes, kind: str = "TIFF") -> tuple[int, ...]:
    picture = Image.new(mode, (16, 16), value)
    return read_image(file_of(picture, kind, icc_profile=profile)).getpixel((3, 3))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    ("name", "red"), [("Display P3", (234, 51, 35)), ("Adobe RGB", (219, 0, 0))]
)
def test_the_red_of_srgb_is_found_in_wider_spaces(name, red, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file_of(Image.new("RGB", (16, 16), red), kind, icc_profile=rgb_profile(name), **options)
    assert np.allclose(read_image(data).getpixel((3, 3)), (255, 0, 0), atol=5)


def test_profiles_hold_for_palettes_transparency_and_grey():
    adobe = rgb_profile("Adobe RGB")
    palette = Image.new("RGB", (16, 16), (219, 0, 0)).quantize(2)
    data = file_of(palette, "PNG", icc_profile=adobe)
    assert np.allclose(read_image(data).getpixel((3, 3)), (255, 0, 0), atol=5)
    assert np.allclose(colour((219, 0, 0, 255), "RGBA", adobe, "PNG"), (255, 0, 0), atol=2)
    assert colour((219, 0, 0, 0), "RGBA", adobe, "PNG") == (255, 255, 255)
    assert np.allclose(colour(55, "L", grey_profile(1.0)), 128, atol=2)
    assert np.allclose(colour((55, 255), "LA", grey_profile(1.0), "PNG"), 128, atol=2)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_printers_cyan_is_not_the_screens(kind):
    cyan = colour((255, 0, 0, 0), "CMYK", cmyk_profile(), kind)
    assert np.allclose(cyan, (0, 151, 218), atol=3)
    assert colour((0, 0, 0, 0), "CMYK", cmyk_profile(), kind) == (255, 255, 255)


@pytest.mark.parametrize(
    "profile", [b"x" * 200, rgb_profile("Adobe RGB")[:300], cmyk_profile(), b"\0" * 4096]
)
def test_a_profile_that_is_broken_or_of_another_space_is_ignored(profile):
    assert colour((219, 0, 0), "RGB", profile) == (219, 0, 0)


def test_srgb_by_its_profile_is_the_picture_without_one():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with_profile = read_image(file_of(SMOOTH, "PNG", icc_profile=profile))
    assert with_profile.tobytes() == read_image(made("png")).tobytes()
