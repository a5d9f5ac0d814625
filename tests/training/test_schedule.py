"""How the learning rate changes: points that one can work out."""

import pytest

from cutline.training.schedule import cosine_with_warmup, warmup


def test_warmup_rises_in_a_line_and_stays():
    factor = warmup(4)
    assert [factor(step) for step in range(7)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


def test_without_warmup_the_rate_is_full_from_the_start():
    assert warmup(0)(0) == 1
    assert cosine_with_warmup(0, 10)(0) == 1


def test_the_cosine_is_half_way_down_in_the_middle_and_ends_at_nothing():
    factor = cosine_with_warmup(0, 100)
    assert [factor(step) for step in (0, 50, 100, 130)] == pytest.approx([1, 0.5, 0, 0], abs=1e-12)
    assert all(factor(step) > factor(step + 1) for step in range(100))


def test_the_first_step_learns_something():
    assert cosine_with_warmup(100, 1000)(0) > 0
