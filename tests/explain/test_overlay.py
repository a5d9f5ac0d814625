"""Light falls where attention peaks, whatever part of the picture the captioner saw."""

import numpy as np
import pytest
from PIL import Image

from cutline.explain.overlay import (
    DIM,
    Style,
    highlight,
    lines,
    outline,
    resized,
    spotlight,
    spread,
)

WHOLE = (0.0, 0.0, 1.0, 1.0)
CROPPED = (1 / 6, 0.0, 5 / 6, 1.0)  # the middle square of 60 x 40
PADDED = (0.0, -0.25, 1.0, 1.25)  # the square around it
SIZE = (60, 40)


def cell(row: int, column: int, side: int = 4) -> np.ndarray:
    grid = np.zeros((side, side))
    grid[row, column] = 1.0
    return grid


def middle_of(light: np.ndarray) -> tuple[float, float]:
    """Where the light is brightest, as shares of width and height."""
    rows, columns = np.nonzero(light > 0.99 * light.max())
    return (columns.mean() + 0.5) / light.shape[1], (rows.mean() + 0.5) / light.shape[0]


@pytest.mark.parametrize("area", [WHOLE, CROPPED, PADDED], ids=["squash", "crop", "pad"])
@pytest.mark.parametrize("place", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_light_is_brightest_in_the_middle_of_the_cell_that_was_looked_at(area, place):
    left, top, right, bottom = area
    x, y = middle_of(spread(cell(*place), area, SIZE))
    assert x == pytest.approx(left + (place[1] + 0.5) / 4 * (right - left), abs=0.06)
    assert y == pytest.approx(top + (place[0] + 0.5) / 4 * (bottom - top), abs=0.06)


def test_rows_and_columns_of_a_grid_that_is_not_square_are_not_swapped():
    grid = np.zeros((2, 5))
    grid[1, 0] = 1.0
    light = spread(grid, WHOLE, SIZE)
    assert light.shape == (40, 60)
    assert light[35, 3] > 0.8
    assert light[5, 55] < 0.01


def test_what_a_crop_cut_off_is_dark():
    light = spread(np.ones((4, 4)), CROPPED, SIZE)
    assert np.all(light[:, :10] == 0)
    assert np.all(light[:, 50:] == 0)
    assert np.allclose(light[:, 10:50], 1)


def test_a_look_at_the_padding_leaves_the_picture_dark():
    light = spread(cell(0, 1, side=8), PADDED, SIZE)
    assert light.max() < 0.3


def test_even_attention_is_even_light():
    assert np.allclose(spread(np.full((7, 7), 1 / 49), WHOLE, SIZE), 1)


def test_light_is_never_below_0_nor_above_1():
    rng = np.random.default_rng(0)
    for area in (WHOLE, CROPPED, PADDED):
        light = spread(rng.dirichlet(np.ones(49)).reshape(7, 7), area, SIZE)
        assert light.min() >= 0
        assert light.max() <= 1


def test_turning_the_grid_turns_the_light():
    grid = np.random.default_rng(1).random((5, 5))
    light = spread(grid, WHOLE, (50, 50))
    assert np.allclose(spread(np.rot90(grid), WHOLE, (50, 50)), np.rot90(light))


def test_no_attention_at_all_is_no_light_and_no_line():
    light = spread(np.zeros((4, 4)), WHOLE, SIZE)
    assert not light.any()
    assert not outline(light).any()


def test_even_light_has_no_line():
    assert not outline(np.ones((40, 60))).any()


def test_a_line_is_drawn_where_the_light_is_one_half():
    light = np.tile(np.linspace(0, 1, 101), (20, 1))
    inked = np.flatnonzero(outline(light)[10])
    assert inked.min() >= 48
    assert inked.max() <= 52
    assert 50 in inked


def test_full_light_keeps_the_photograph_and_no_light_greys_it(photo):
    assert np.array_equal(spotlight(photo, np.ones((40, 60))), photo)
    grey = np.asarray(spotlight(photo, np.zeros((40, 60))))
    assert np.ptp(grey) == 0
    assert grey[0, 0, 0] == pytest.approx(DIM * np.asarray(photo.convert("L"))[0, 0], abs=1)


def test_a_picture_one_pixel_wide_is_drawn():
    thin = resized(Image.new("L", (1, 500)), 100)
    assert thin.size == (1, 100)
    assert spotlight(thin, spread(np.ones((7, 7)), WHOLE, thin.size)).size == (1, 100)


def test_a_grid_of_one_cell_lights_everything():
    assert np.allclose(spread(np.ones((1, 1)), WHOLE, SIZE), 1)


# --- by cell -------------------------------------------------------------------------------------


def test_by_cell_each_pixel_takes_the_cell_that_it_lies_in():
    grid = np.random.default_rng(2).random((4, 6))
    light = spread(grid, WHOLE, SIZE, Style.CELLS)
    assert np.allclose(light, np.kron(grid / grid.max(), np.ones((10, 10))))


def test_by_cell_what_a_crop_cut_off_is_dark_and_without_lines():
    light = spread(np.ones((4, 4)), CROPPED, SIZE, Style.CELLS)
    assert np.all(light[:, :10] == 0)
    assert np.all(light[:, 50:] == 0)
    assert np.all(light[:, 10:50] == 1)
    assert not lines(light, (4, 4), CROPPED, Style.CELLS)[:, [0, 4, 55, 59]].any()


def test_by_cell_a_look_at_the_padding_leaves_the_picture_dark():
    assert spread(cell(0, 1, side=8), PADDED, SIZE, Style.CELLS).max() == 0


def test_by_cell_the_line_goes_around_what_is_bright_and_the_grid_is_faint():
    grid = np.zeros((4, 6))
    grid[1, 2] = 1.0
    ink = lines(spread(grid, WHOLE, SIZE, Style.CELLS), (4, 6), WHOLE, Style.CELLS)
    strong, faint = ink == 1, (ink > 0) & (ink < 1)
    rows, columns = np.nonzero(strong)
    assert (rows.min(), rows.max()) == (9, 20)
    assert (columns.min(), columns.max()) == (19, 30)
    assert not strong[11:19, 21:29].any()
    assert {*np.nonzero(faint[5])[0]} == {9, 10, 19, 20, 29, 30, 39, 40, 49, 50}


def test_by_cell_even_attention_keeps_the_photograph_but_for_the_grid(photo):
    lit = highlight(photo, np.ones((1, 1)), WHOLE, Style.CELLS)
    assert np.array_equal(lit, photo)
    lit = np.asarray(highlight(photo, np.ones((4, 6)), WHOLE, Style.CELLS))
    assert np.array_equal(lit[5, 5], np.asarray(photo)[5, 5])
    assert not np.array_equal(lit[10, 5], np.asarray(photo)[10, 5])


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 2)], ids=str)
@pytest.mark.parametrize("area", [WHOLE, CROPPED, PADDED], ids=["squash", "crop", "pad"])
def test_pictures_of_any_shape_are_lit(style, size, area):
    image = Image.new("RGB", size, "red")
    assert highlight(image, cell(1, 2), area, style).size == size
