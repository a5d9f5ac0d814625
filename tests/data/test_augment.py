"""Other views of a training picture, by chance: a part, a mirror image, another light."""

import numpy as np
import pytest

from cutline.data.augment import Augment, sided

SIDE = 32
STILL = {"crop": 1.0, "flip": 0.0, "colour": 0.0}


def picture() -> np.ndarray:
    """Red grows to the right, green downwards; blue is everywhere the same."""
    ramp = np.arange(SIDE) * 4 + 60
    square = np.full((SIDE, SIDE, 3), 100, dtype=np.uint8)
    square[..., 0], square[..., 1] = ramp[None, :], ramp[:, None]
    return square


def views(many: int = 200, *, mirror: bool = True, **fields) -> np.ndarray:
    augment, dice = Augment(**{**STILL, **fields}), np.random.default_rng(0)
    return np.stack([augment(picture(), dice, mirror=mirror) for _ in range(many)]).astype(float)


def test_nothing_asked_for_is_nothing_changed():
    assert (views(5) == picture()).all()


def test_a_mirror_image_comes_as_often_as_asked():
    seen = views(flip=0.25)
    mirrored = [np.array_equal(view, picture()[:, ::-1]) for view in seen]
    plain = [np.array_equal(view, picture()) for view in seen]
    assert sum(mirrored) + sum(plain) == 200
    assert 30 <= sum(mirrored) <= 70


def test_no_mirror_image_where_left_is_told_from_right():
    assert (views(20, mirror=False, flip=1.0) == picture()).all()
    assert sided(["a dog", "A man on the LEFT ."])
    assert sided(["the right-hand dog"])
    assert sided(["the leftmost cup"])
    assert not sided(["a bright light", "nothing delights"])


def test_a_part_is_never_smaller_than_asked_and_lies_anywhere():
    seen = views(400, crop=0.4)
    # the ramps' steepness is the share of each side that is left
    wide = (seen[:, 16, -4, 0] - seen[:, 16, 3, 0]) / (4 * (SIDE - 7))
    high = (seen[:, -4, 16, 1] - seen[:, 3, 16, 1]) / (4 * (SIDE - 7))
    area = wide * high
    assert area.min() > 0.36
    assert area.max() < 1.04
    assert area.min() < 0.5
    assert (wide / high).min() < 0.8
    assert (wide / high).max() > 1.25
    left = seen[:, 16, 0, 0]
    assert left.min() < 66
    assert left.max() > 90


@pytest.mark.parametrize("colour", [0.1, 0.4])
def test_light_and_colour_change_within_bounds(colour: float):
    seen = views(300, colour=colour)
    mean = seen.mean((1, 2, 3)) / picture().mean()
    assert mean.min() >= 1 - colour - 0.02
    assert mean.max() <= 1 + colour + 0.02
    assert np.ptp(mean) > colour
    contrast = seen[..., 0].std((1, 2)) / picture()[..., 0].std()
    assert contrast.min() < 1 - colour
    assert contrast.max() > 1 + colour


def test_a_grey_picture_stays_grey():
    grey = np.full((8, 8, 3), 90, dtype=np.uint8)
    augment, dice = Augment(crop=1.0, flip=0.0, colour=0.5), np.random.default_rng(1)
    for _ in range(20):
        view = augment(grey, dice).astype(int)
        assert np.ptp(view, axis=2).max() <= 1
