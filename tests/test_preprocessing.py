"""Preprocessing: where pixels go, checked with pictures whose every part is known."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import normalize, to_tensor

from cutline.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (127, 127, 127)


def preprocessing(resize: str, size: int = 30, interpolation: str = "nearest") -> Preprocessing:
    return Preprocessing(size, resize, interpolation, MEAN, STD)


def flag(width: int, height: int) -> Image.Image:
    """Three stripes, red, green and blue, along the longer side."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    longer = pixels if height > width else pixels.swapaxes(0, 1)
    for stripe, colour in zip(np.array_split(longer, 3), (RED, GREEN, BLUE), strict=True):
        stripe[:] = colour
    return Image.fromarray(pixels)


# --- geometry


def test_squash_shows_the_whole_picture_whatever_its_shape():
    square = preprocessing("squash").square(flag(90, 30))
    assert square.shape == (30, 30, 3)
    assert square.dtype == np.uint8
    assert (square[:, :10] == RED).all()
    assert (square[:, 10:20] == GREEN).all()
    assert (square[:, 20:] == BLUE).all()


@pytest.mark.parametrize("shape", [(90, 30), (30, 90)])
def test_crop_keeps_the_middle_square(shape):
    assert (preprocessing("crop").square(flag(*shape)) == GREEN).all()


@pytest.mark.parametrize("upright", [False, True])
def test_pad_adds_grey_bars_on_both_sides(upright):
    square = preprocessing("pad").square(flag(30, 90) if upright else flag(90, 30))
    square = square if upright else square.swapaxes(0, 1)  # stripes from top to bottom
    middle, bars = square[:, 10:20], np.concatenate([square[:, :10], square[:, 20:]], 1)
    assert (bars == GREY).all()
    assert (middle[:10] == RED).all()
    assert (middle[10:20] == GREEN).all()
    assert (middle[20:] == BLUE).all()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(30, 30), (1, 1), (1, 400), (400, 1), (31, 29)])
def test_a_picture_of_any_shape_becomes_a_square(resize, shape):
    picture = Image.new("RGB", shape, RED)
    for interpolation in ("nearest", "bilinear", "bicubic", "unheard of"):
        square = preprocessing(resize, interpolation=interpolation).square(picture)
        assert square.shape == (30, 30, 3)
        visible = resize != "pad" or 400 not in shape  # else thinner than a pixel of the square
        assert (square == RED).all(axis=2).any() == visible


def test_a_square_of_the_right_size_is_left_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    for resize in ("squash", "crop", "pad"):
        square = preprocessing(resize, interpolation="bicubic").square(Image.fromarray(pixels))
        assert (square == pixels).all()


def test_the_interpolation_is_the_one_named():
    fine = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    made = {
        name: preprocessing("squash", interpolation=name).square(fine)
        for name in ("nearest", "bilinear", "bicubic")
    }
    for name, method in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", 3)):
        assert (made[name] == np.array(fine.resize((30, 30), method))).all()
    assert not (made["bilinear"] == made["bicubic"]).all()


# --- which part was seen


@pytest.mark.parametrize(
    ("resize", "shape", "area"),
    [
        ("squash", (90, 30), (0, 0, 1, 1)),
        ("crop", (90, 30), (1 / 3, 0, 2 / 3, 1)),
        ("crop", (30, 90), (0, 1 / 3, 1, 2 / 3)),
        ("crop", (50, 50), (0, 0, 1, 1)),
        ("pad", (90, 30), (0, -1, 1, 2)),
        ("pad", (30, 90), (-1, 0, 2, 1)),
        ("pad", (50, 50), (0, 0, 1, 1)),
    ],
)
def test_the_area_is_the_part_of_the_picture_that_was_seen(resize, shape, area):
    assert preprocessing(resize).area(*shape) == pytest.approx(area)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(120, 80), (80, 120), (100, 100)])
def test_a_spot_is_found_again_through_the_area(resize, shape):
    width, height = shape
    x, y = width // 2 - 11, height // 2 + 17
    picture = Image.new("RGB", shape)
    picture.paste((255, 255, 255), (x - 3, y - 3, x + 4, y + 4))
    seen = preprocessing(resize, size=200, interpolation="bilinear").square(picture)
    rows, columns = np.nonzero((seen == 255).all(axis=2))
    left, top, right, bottom = preprocessing(resize).area(width, height)
    found_x = (left + (columns.mean() + 0.5) / 200 * (right - left)) * width
    found_y = (top + (rows.mean() + 0.5) / 200 * (bottom - top)) * height
    assert (found_x, found_y) == pytest.approx((x + 0.5, y + 0.5), abs=0.6)


# --- numbers


def test_scale_is_torchvisions_normalisation():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    factor, offset = preprocessing("squash").scale()
    ours = pixels * factor + offset
    expected = normalize(to_tensor(pixels), MEAN, STD).permute(1, 2, 0)
    assert torch.allclose(torch.from_numpy(ours), expected, atol=1e-6)
    assert factor.dtype == offset.dtype == np.float32


def test_black_and_white_land_where_they_should():
    factor, offset = Preprocessing(8, "squash", "bicubic", (0.5,) * 3, (0.5,) * 3).scale()
    assert 0 * factor + offset == pytest.approx([-1, -1, -1])
    assert 255 * factor + offset == pytest.approx([1, 1, 1])
