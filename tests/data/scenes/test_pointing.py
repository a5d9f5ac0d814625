import numpy as np
import pytest

from cutline.data.scenes import Scene, chance, points_at
from support.scene_oracle import scene_of, thing

# A square of the left top quarter's middle, and one of the right bottom quarter's.
CORNERS = scene_of(thing("small red square", 0.2, 0.2), thing("small blue square", 0.8, 0.8))


def peak(height, width, row, column):
    attention = np.full((height, width), 0.01)
    attention[row, column] = 0.5
    return attention


def test_a_peak_on_the_thing_points_at_it_and_not_at_the_other():
    attention = peak(8, 8, 1, 1)
    assert points_at(attention, (0,), CORNERS)
    assert not points_at(attention, (1,), CORNERS)
    assert points_at(attention, (0, 1), CORNERS)


def test_rows_are_down_and_columns_are_across():
    scene = scene_of(thing("small red square", 0.2, 0.8))
    assert points_at(peak(4, 8, 3, 1), (0,), scene)
    assert not points_at(peak(4, 8, 0, 6), (0,), scene)


def test_one_pixel_in_the_cell_is_enough():
    scene = Scene.from_seed(0)
    for index, mask in enumerate(scene.masks(64)):
        for row in range(8):
            for column in range(8):
                cell = mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                assert points_at(peak(8, 8, row, column), (index,), scene) == cell.any()


def test_chance_is_the_share_of_cells_that_would_do():
    for seed in range(20):
        scene = Scene.from_seed(seed)
        things = tuple(range(len(scene.things)))
        cells = [
            points_at(peak(5, 7, row, column), things, scene)
            for row in range(5)
            for column in range(7)
        ]
        assert chance(things, scene, 5, 7) == pytest.approx(np.mean(cells))


def test_a_hidden_part_is_not_the_thing():
    scene = scene_of(thing("large red circle", 0.4, 0.5), thing("large blue circle", 0.6, 0.5))
    assert not points_at(peak(16, 16, 8, 10), (0,), scene)
    assert points_at(peak(16, 16, 8, 10), (1,), scene)


def test_no_things_are_never_pointed_at():
    assert not points_at(peak(8, 8, 1, 1), (), CORNERS)
    assert chance((), CORNERS, 8, 8) == 0.0


def test_one_cell_is_the_whole_picture():
    assert points_at(np.ones((1, 1)), (0,), CORNERS)
    assert chance((1,), CORNERS, 1, 1) == 1.0


def test_cells_finer_than_the_masks_work():
    assert points_at(peak(100, 100, 20, 20), (0,), CORNERS)
    assert 0.164**2 < chance((0,), CORNERS, 100, 100) < (0.164 + 2 / 64) ** 2


def test_even_attention_peaks_in_the_first_cell():
    assert not points_at(np.full((8, 8), 1 / 64), (0, 1), CORNERS)


def test_attention_that_is_no_grid_is_refused():
    with pytest.raises(ValueError, match="to unpack"):
        points_at(np.ones(64), (0,), CORNERS)
