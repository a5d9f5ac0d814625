"""A training with nothing left to learn from stops; its last good models stay."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision

import cutline
from cutline.config import read_recipe
from cutline.errors import UsageError
from cutline.network import Model
from cutline.training import module as module_file
from cutline.training import run as run_file
from cutline.training import train
from cutline.training import watch as watch_file
from cutline.training.objectives import Likelihood
from cutline.training.watch import Seen, Watch
from support.tiny import write_recipe

SIZES = ("data.scenes.train=16", "training.threads=1", "training.epochs=3")


def run(folder, *words):
    said: list[str] = []
    recipe = read_recipe(write_recipe(folder), [*SIZES, *words])
    return train(recipe, folder / "out", say=said.append).history, said


def watch(folder, said=None, *words) -> Watch:
    recipe = read_recipe(write_recipe(folder), words)
    return Watch(recipe, folder / "out", (said if said is not None else []).append)


def seen(step, loss=1.0, norm=1.0, figure=1.0, *, epoch=3) -> Seen:
    return Seen(step, epoch, torch.tensor(loss), torch.tensor(norm), torch.tensor(figure))


def stays(folder, epochs):
    """The last model is of so many epochs, the best of these, and nothing else is there."""
    best, last = (cutline.load(folder / "out" / name).config for name in ("best", "last"))
    assert best.provenance["epochs"] <= last.provenance["epochs"] == epochs
    left = {path.name for path in (folder / "out").iterdir()}
    assert left == {"best", "last", "checkpoint.safetensors", "recipe.yaml", "tensorboard"}


# --- not finite


@pytest.mark.parametrize("fault", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("what", ["loss", "norm"])
def test_what_is_not_finite_stops_with_epoch_step_and_what_to_lower(what, fault, tmp_path):
    dog = watch(tmp_path, None, "training.precision=bf16-mixed")
    dog.see(seen(41))
    with pytest.raises(UsageError) as raised:
        dog.see(seen(42, **{what: fault}))
    text = str(raised.value)
    for part in (
        f"{'loss' if what == 'loss' else 'norm'} is {fault} at step 42 (epoch 3)",
        "stay as they were after epoch 2",
        "training.learning_rate (now 0.003)",
        "encoder.learning_rate (now 0.0001)",
        "training.gradient_clip (now 5)",
        "training.precision=32-true",
        f"training.start_from={tmp_path / 'out' / 'best'}",
    ):
        assert part in text


def test_half_precision_may_leave_steps_out_while_it_finds_its_scale(tmp_path):
    dog = watch(tmp_path)
    dog.scaled = True
    for step in range(watch_file.SKIPPED - 1):
        dog.see(seen(step, norm=math.inf))
    dog.see(seen(100))
    for step in range(watch_file.SKIPPED - 1):
        dog.see(seen(step, loss=math.nan))
    with pytest.raises(UsageError, match="was not finite in 50 steps"):
        dog.see(seen(200, loss=math.nan))


def test_a_gpu_is_asked_once_for_many_steps_and_before_anything_is_saved(monkeypatch, tmp_path):
    dog = watch(tmp_path)
    monkeypatch.setattr(watch_file, "CPU", "nothing")
    for step in range(1, 4):
        dog.see(seen(step, loss=math.nan if step == 2 else 1.0))
    with pytest.raises(UsageError, match=r"at step 2 \(epoch 3\)"):
        dog.check(torch.nn.Linear(2, 2), 2)
    for step in range(1, watch_file.EVERY):
        dog.see(seen(step, norm=math.inf))
    with pytest.raises(UsageError, match=r"at step 1 \(epoch 3\)"):
        dog.see(seen(watch_file.EVERY))


def test_weights_that_are_not_finite_are_not_judged(tmp_path):
    layer = torch.nn.Linear(2, 2)
    watch(tmp_path).check(layer, 2)
    layer.bias.data[1] = math.inf
    with pytest.raises(UsageError, match="no longer finite after epoch 3"):
        watch(tmp_path).check(layer, 2)


@pytest.mark.parametrize(
    "words",
    [
        ("training.learning_rate=1e30",),
        ("training.learning_rate=1e30", "encoder.trainable=none"),
        ("training.learning_rate=1e30", "training.precision=bf16-mixed", "training.ema_decay=0.9"),
        ("training.learning_rate=1e38", "training.warmup_steps=0", "data.scenes.train=8"),
    ],
)
def test_a_rate_far_too_high_ends_in_a_sentence_and_saves_nothing(words, tmp_path):
    with pytest.raises(UsageError, match="so training stops; no model was saved yet"):
        run(tmp_path, *words)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"recipe.yaml", "tensorboard"}


def test_a_loss_that_breaks_later_leaves_the_last_good_models(monkeypatch, tmp_path):
    forward, steps = Likelihood.forward, iter(range(100))

    def breaks(self, *args, **options):
        loss = forward(self, *args, **options)
        return loss._replace(value=loss.value * (math.nan if next(steps) == 4 else 1.0))

    monkeypatch.setattr(Likelihood, "forward", breaks)
    with pytest.raises(UsageError, match=r"loss is nan at step 5 \(epoch 3\)"):
        run(tmp_path)
    stays(tmp_path, 2)


def test_a_cider_that_is_no_number_is_not_the_best(monkeypatch, tmp_path):
    figures = iter([0.5, math.nan])

    def score(*_, **__):
        return SimpleNamespace(corpus={"CIDEr": next(figures), "BLEU-4": 0.1})

    monkeypatch.setattr(module_file, "score", score)
    with pytest.raises(UsageError, match="CIDEr on validation is nan in epoch 2, so training"):
        run(tmp_path)
    stays(tmp_path, 1)


def test_a_step_that_half_precision_left_out_does_not_end_a_training(monkeypatch, tmp_path):
    forward, steps = Likelihood.forward, iter(range(100))

    def breaks(self, *args, **options):
        loss = forward(self, *args, **options)
        return loss._replace(value=loss.value * (math.inf if next(steps) == 2 else 1.0))

    def scaling(*, plugins, precision, **options):  # as on a GPU
        plugins = [*plugins, MixedPrecision(precision, "cpu")]
        return trainer(plugins=plugins, **{**options, "accelerator": "cpu"})

    trainer = run_file.L.Trainer
    monkeypatch.setattr(run_file.L, "Trainer", scaling)
    monkeypatch.setattr(Likelihood, "forward", breaks)
    history, _ = run(tmp_path, "training.precision=16-mixed")
    assert len(history) == 3
    assert all(p.isfinite().all() for p in Model.read(tmp_path / "out/last").network.parameters())


# --- exploding


def test_a_loss_that_stays_far_above_the_first_ones_is_warned_of_once(tmp_path):
    said: list[str] = []
    dog = watch(tmp_path, said)
    for step, figure in enumerate([4, 3.9, 3.8, 3.9, 3.7, 90, 2, 91, 92, 93, 94, 95, 96], start=1):
        dog.see(seen(step, figure=figure))
    assert len(said) == 1
    assert said[0].startswith("warning: the loss explodes: 93.0 a word at step 10 (epoch 3), 3.7 ")
    assert "training.learning_rate (now 0.003)" in said[0]


@pytest.mark.parametrize(
    "figures", [[8.0] * 30, [0.1, *[0.9] * 30], [0.0] * 30, [5.0, *[14.0] * 30], [2, 9, 9, 2, 9, 9]]
)
def test_an_ordinary_loss_is_not_warned_of(figures, tmp_path):
    said: list[str] = []
    dog = watch(tmp_path, said)
    for step, figure in enumerate(figures, start=1):
        dog.see(seen(step, figure=float(figure)))
    assert said == []


def test_a_training_that_explodes_says_so(tmp_path):
    words = ("training.learning_rate=100", "training.precision=16-mixed", "training.warmup_steps=0")
    _, said = run(tmp_path, *words)
    assert sum("the loss explodes" in line for line in said) == 1


def test_an_ordinary_training_is_not_warned_of(tmp_path):
    _, said = run(tmp_path)
    assert not any("explodes" in line for line in said)
