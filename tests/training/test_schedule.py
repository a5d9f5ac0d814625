"""How learning rates and sampling change: points that one can work out."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from cutline.config import ScheduledSamplingConfig, TrainingConfig
from cutline.training.schedule import (
    Plateau,
    build_schedule,
    cosine_with_warmup,
    own_words,
    step_decay,
    warmup,
)


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


def test_steps_go_down_by_a_factor_every_so_often():
    factor = step_decay(1, every=3, factor=0.1)
    expected = [0.5, 1, 1, 0.1, 0.1, 0.1, 0.01]
    assert [factor(step) for step in range(7)] == pytest.approx(expected)


def scores(plateau: Plateau, *given: float) -> list[float]:
    found = []
    for score in given:
        plateau.judge(score)
        found.append(plateau(100))
    return found


def test_a_plateau_goes_down_when_so_many_epochs_were_no_better():
    found = scores(Plateau(0, epochs=2, factor=0.5), 1, 3, 2, 3, 2, 4, 1, 1, 1, 1)
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_plateau_rises_first_like_the_others():
    assert [Plateau(4, epochs=2, factor=0.5)(step) for step in range(5)] == [0.2, 0.4, 0.6, 0.8, 1]


def test_a_plateau_remembers_through_pytorchs_schedule():
    def driven() -> tuple[Plateau, LambdaLR]:
        plateau = Plateau(0, epochs=1, factor=0.5)
        groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (1, 2)]
        return plateau, LambdaLR(torch.optim.SGD(groups), plateau)

    first, schedule = driven()
    scores(first, 2, 1)
    second, other = driven()
    other.load_state_dict(schedule.state_dict())
    assert scores(second, 2, 3) == scores(first, 2, 3) == [0.25, 0.25]


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ("constant", {0: 1 / 3, 2: 1, 100: 1}),
        ("cosine", {2: 0.5 * (1 + math.cos(math.pi / 50)), 50: 0.5, 100: 0}),
        ("step", {2: 1, 19: 1, 20: 0.3, 39: 0.3, 40: 0.09}),
        ("plateau", {2: 1, 100: 1}),
    ],
)
def test_a_recipe_names_its_schedule(schedule, points):
    training = TrainingConfig(
        schedule=schedule, warmup_steps=2, epochs=10, decay_factor=0.3, decay_epochs=2
    )
    factor = build_schedule(training, total=100)
    found = {step: factor(step) for step in points}
    assert found == pytest.approx(points, abs=1e-12)


def test_a_step_decay_of_a_run_shorter_than_its_steps_never_comes():
    training = TrainingConfig(schedule="step", warmup_steps=0, epochs=2, decay_epochs=5)
    factor = build_schedule(training, total=7)
    assert [factor(step) for step in range(7)] == [1] * 7


def test_own_words_come_more_often_every_few_epochs_up_to_a_limit():
    plan = ScheduledSamplingConfig(start=3, increase=0.1, every=2, maximum=0.25)
    found = [own_words(plan, epoch) for epoch in range(1, 10)]
    assert found == pytest.approx([0, 0, 0.1, 0.1, 0.2, 0.2, 0.25, 0.25, 0.25])


def test_without_a_plan_no_own_word_is_read():
    assert own_words(None, 100) == 0
    assert own_words(ScheduledSamplingConfig(), 1) == 0.05
