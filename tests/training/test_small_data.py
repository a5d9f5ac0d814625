"""Small data: what a run is told, which of equal epochs is kept."""

from types import SimpleNamespace

import pytest

import cutline
from cutline.config import Recipe, TrainingConfig, read_recipe
from cutline.training import rank, train
from cutline.training.advice import advise, advise_on_steps
from cutline.training.schedule import build_schedule
from cutline.training.selection import epochs_since_best, named
from support.tiny import write_recipe

LOSS = "val/teacher_forced_cross_entropy_per_word"
CAPTIONS = [[1, 4, 5, 4, 5, 4, 5, 4, 5, 4, 2]]  # <start>, nine known words, <end>


def recipe(**training) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"path": "scenes"},
            "encoder": {"name": "test_resnet"},
            "decoder": {"name": "nic"},
            "training": training,
        }
    )


# --- the warm-up


@pytest.mark.parametrize("total", [1, 9, 40, 1990, 2000, 5000])
@pytest.mark.parametrize("schedule", ["constant", "plateau", "step", "cosine"])
def test_the_warmup_takes_a_tenth_of_the_run_at_most(total, schedule):
    training = TrainingConfig(warmup_steps=200, schedule=schedule, epochs=1, decay_epochs=5)
    factor = build_schedule(training, total=total)
    highest = max(factor(step) for step in range(total // 10 + 1))
    assert highest > 0.97
    assert factor(0) == pytest.approx(1 / (min(200, total // 10) + 1))


def test_a_shortened_warmup_is_said_and_a_whole_one_is_not():
    (note,) = advise_on_steps(recipe(warmup_steps=200), 1990)
    assert note == (
        "note: the warm-up is shortened from 200 steps to 199, a tenth of the run's 1,990 "
        "(training.warmup_steps)"
    )
    assert advise_on_steps(recipe(warmup_steps=200), 2000) == []


def test_a_run_of_few_steps_is_told_what_to_type():
    (warning,) = advise_on_steps(recipe(epochs=10, warmup_steps=0), 40)
    assert "the run has 40 steps only" in warning
    assert "type training.epochs=75 " in warning, "75 * 4 steps are 300"
    (warning,) = advise_on_steps(recipe(epochs=10, warmup_steps=0), 299)
    assert "type training.epochs=11 " in warning
    assert advise_on_steps(recipe(warmup_steps=0), 300) == []
    assert advise_on_steps(recipe(warmup_steps=0, start_from="best"), 40) == []


# --- the encoder, validation, rare words


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        ({"weights": "random"}, "frozen (encoder.trainable=none)"),
        ({"weights": "random", "trainable": "all"}, ""),
        ({"weights": "random", "trainable": "all", "unfreeze_epoch": 10}, ""),
        ({"weights": "random", "trainable": "all", "unfreeze_epoch": 11}, "frozen until after"),
        ({"weights": "download"}, ""),
    ],
)
def test_an_encoder_that_is_random_and_frozen_is_warned_of(encoder, told):
    plan = recipe()
    plan = plan.model_copy(
        update={"encoder": plan.encoder.model_validate({"name": "test_resnet", **encoder})}
    )
    notes = advise(plan, CAPTIONS, validation=50)
    assert told in "".join(notes)
    assert len(notes) == bool(told)


@pytest.mark.parametrize(("images", "many"), [(1, "1 image "), (49, "49 images"), (50, None)])
def test_a_small_validation_is_warned_of(images, many):
    notes = advise(recipe(), CAPTIONS, validation=images)
    assert [many in note for note in notes] == ([True] if many else [])
    assert advise(recipe(monitor="loss"), CAPTIONS, validation=images) == []


def test_a_validation_that_the_recipe_limits_is_told_so():
    (note,) = advise(recipe(validate_images=20), CAPTIONS, validation=20)
    assert "type training.validate_images=50 or more" in note


def test_many_unknown_words_are_warned_of():
    (note,) = advise(recipe(), [[1, 3, 3, 4, 4, 2]], validation=50)
    assert note.startswith("warning: 50% of the captions' words are <unk>")
    assert "type data.min_frequency=2" in note


# --- the best epoch


def test_of_equal_scores_the_lower_loss_is_the_better():
    rows = [
        {"val/cider_greedy": cider, LOSS: loss}
        for cider, loss in ((0.0, 4.0), (0.0, 3.0), (0.0, 3.0), (0.0, 3.5))
    ]
    assert epochs_since_best(rows, "val/cider_greedy") == 2
    higher = {"val/cider_greedy": 0.1, LOSS: 9.0}
    assert rank(higher, "val/cider_greedy") > rank(rows[1], "val/cider_greedy")
    assert rank(higher, LOSS) < rank(rows[0], LOSS)


def test_monitored_figures_have_names():
    assert named("val/bleu4_beam_5") == "BLEU-4 (beam 5)"
    assert named(TrainingConfig(monitor="loss").monitored) == "teacher-forced loss per word"


def run(folder, monkeypatch, scores, *words):
    left = iter(scores)

    def score(*_, **__):
        cider, bleu = next(left)
        return SimpleNamespace(corpus={"CIDEr": cider, "BLEU-4": bleu})

    monkeypatch.setattr("cutline.training.module.score", score)
    said: list[str] = []
    plan = read_recipe(write_recipe(folder), [*words, "training.threads=1"])
    history = train(plan, folder / "out", say=said.append).history
    best = cutline.load(folder / "out" / "best").config.provenance["epochs"]
    return history, best, said


def test_an_untrained_first_epoch_is_not_kept_where_nothing_scores(tmp_path, monkeypatch):
    words = ("training.epochs=3", "training.patience=1")
    history, best, said = run(tmp_path, monkeypatch, [(0, 0)] * 3, *words)
    losses = [row[LOSS] for row in history]
    assert best == 1 + losses.index(min(losses)) == 3, "and patience waits for the loss, too"
    assert any("validation has 6 images only" in line for line in said)


@pytest.mark.parametrize(("monitor", "expected"), [("CIDEr", 1), ("BLEU-4", 2), ("loss", 3)])
def test_the_recipe_chooses_by_what_the_best_epoch_is_chosen(
    monitor, expected, tmp_path, monkeypatch
):
    scores = [(3, 0.25), (2, 0.75), (1, 0.5)]
    words = ("training.epochs=3", f"training.monitor={monitor}")
    history, best, _ = run(tmp_path, monkeypatch, scores, *words)
    assert min(history, key=lambda row: row[LOSS])["epoch"] == 3
    assert best == expected
