"""What changes from epoch to epoch: the encoder, rates, own words, early stop; and resume."""

import math
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import cutline
from cutline.config import read_recipe
from cutline.data.batches import CaptionedImages, Pictures, batches
from cutline.data.readers import open_dataset
from cutline.fast import unroll
from cutline.losses import word_loss
from cutline.network import Model
from cutline.training import module as module_file
from cutline.training import train
from cutline.training.module import TrainingModule
from support.tiny import write_recipe


class Epoch(SimpleNamespace):
    """`encoder` and `rates` as they were when an epoch's validation ended."""


@pytest.fixture
def epochs(monkeypatch) -> list[Epoch]:
    """What is seen at the end of each validation."""
    seen: list[Epoch] = []
    end = TrainingModule.on_validation_epoch_end

    def look(self: TrainingModule) -> None:
        end(self)
        encoder = {k: v.clone() for k, v in self.network.encoder.state_dict().items()}
        rates = [group["lr"] for group in self.trainer.optimizers[0].param_groups]
        seen.append(Epoch(encoder=encoder, rates=rates))

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_end", look)
    return seen


def ciders(monkeypatch, *given: float, bleu: Sequence[float] = ()) -> None:
    """Say beforehand what CIDEr, and BLEU-4, validation finds, epoch by epoch."""
    left = iter(zip_longest(given, bleu, fillvalue=0.0))

    def score(*_, **__):
        return SimpleNamespace(corpus=dict(zip(("CIDEr", "BLEU-4"), next(left), strict=True)))

    monkeypatch.setattr(module_file, "score", score)


def run(folder: Path, *words: str, resume: bool = False, say: Callable[[str], None] = len):
    recipe = read_recipe(write_recipe(folder), words)
    return train(recipe, folder / "out", resume=resume, say=say).history


# --- the encoder's time


def test_the_encoder_is_frozen_until_its_epoch_statistics_included(epochs, tmp_path):
    said: list[str] = []
    words = ("encoder.unfreeze_epoch=3", "training.epochs=4", "training.schedule=constant")
    run(tmp_path, *words, say=said.append)
    first, second, third, fourth = (epoch.encoder for epoch in epochs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for earlier, later in ((second, third), (third, fourth)):
        still = [name for name in earlier if torch.equal(earlier[name], later[name])]
        assert still == [], "BatchNorm statistics and weights move from then on"
    assert any("(trained from epoch 3)" in line for line in said)


def test_only_its_last_stages_move_from_then_on(epochs, tmp_path):
    run(tmp_path, "encoder.unfreeze_epoch=2", "encoder.trainable={last_stages: 1}")
    first, second = (epoch.encoder for epoch in epochs)
    moved = [name for name in first if not torch.equal(first[name], second[name])]
    assert moved
    assert all(".layer2." in name for name in moved)


# --- decay and early stop


def test_the_plateau_follows_the_captions_that_are_generated(epochs, monkeypatch, tmp_path):
    ciders(monkeypatch, 1, 2, 1.9, 1, 3)
    run(
        tmp_path,
        "training.epochs=5",
        "training.schedule=plateau",
        "training.decay_epochs=1",
        "training.decay_factor=0.1",
        "training.warmup_steps=0",
    )
    decoder = [epoch.rates[0] for epoch in epochs]
    assert decoder == pytest.approx([3e-3, 3e-3, 3e-3, 3e-4, 3e-5])
    assert [epoch.rates[-1] / 1e-4 for epoch in epochs] == pytest.approx([1, 1, 1, 0.1, 0.01])


def test_training_stops_when_captions_have_not_become_better(monkeypatch, tmp_path):
    ciders(monkeypatch, 1, 3, 2, 2.75, 9)
    said: list[str] = []
    words = ("training.epochs=9", "training.patience=2")
    history = run(tmp_path, *words, say=said.append)
    assert [row["val/cider_greedy"] for row in history] == [1, 3, 2, 2.75]
    assert said[-1] == (
        "stopped: in 2 epochs none was better than CIDEr (greedy) 3.000 (training.patience)"
    )
    best = cutline.load(tmp_path / "out" / "best").config
    assert (best.provenance["epochs"], best.scores["val/cider_greedy"]) == (2, 3)


def test_the_best_epoch_may_be_chosen_by_captions_of_a_beam(monkeypatch, tmp_path):
    ciders(monkeypatch, 1, 3, 2, 1)
    widths: list[tuple[int, float]] = []
    search = module_file.generate

    def watched(decoder, features, vocabulary, config):
        widths.append((config.beam, config.length_penalty))
        return search(decoder, features, vocabulary, config)

    monkeypatch.setattr(module_file, "generate", watched)
    words = ("training.epochs=9", "training.patience=2", "training.validate_beam=3")
    history = run(tmp_path, *words, "search.length_penalty=0.7")
    assert set(widths) == {(3, 0.7)}
    assert [row["val/cider_beam_3"] for row in history] == [1, 3, 2, 1]
    best = cutline.load(tmp_path / "out" / "best").config
    assert (best.provenance["epochs"], best.scores["val/cider_beam_3"]) == (2, 3)


def test_a_run_that_stopped_stays_stopped_when_it_is_resumed(monkeypatch, tmp_path):
    ciders(monkeypatch, 1, 0)
    words = ("training.epochs=9", "training.patience=1")
    history = run(tmp_path, *words)
    said: list[str] = []
    assert run(tmp_path, *words, resume=True, say=said.append) == history
    assert len(history) == 2
    assert said[-1].startswith("stopped: in 1 epoch no")


# --- own words


def test_own_words_are_read_as_planned_and_never_in_validation(monkeypatch, tmp_path):
    seen: list[tuple[bool, float]] = []

    def spy(decoder, *inputs, sampling=0.0, banned=()):
        assert not sampling or sorted(banned) == [0, 1, 3]
        seen.append((decoder.training, sampling))
        return unroll(decoder, *inputs, sampling=sampling, banned=banned)

    users = [file for name, file in sys.modules.items() if name.startswith("cutline.training.")]
    for file in users:
        if getattr(file, "unroll", None) is unroll:
            monkeypatch.setattr(file, "unroll", spy)
    plan = "{start: 2, every: 1, increase: 0.4, maximum: 0.6}"
    run(tmp_path, f"training.scheduled_sampling={plan}", "training.epochs=4")
    assert [p for training, p in seen if training] == [0] * 3 + [0.4] * 3 + [0.6] * 6
    assert {p for training, p in seen if not training} == {0}


# --- figures of validation


def test_validation_counts_words_not_batches(tmp_path):
    history = run(tmp_path, "training.batch_size=2")
    out = Model.read(tmp_path / "out" / "last")
    examples = open_dataset("scenes", train=24, val=6, test=6).split("val")
    pictures = Pictures([e.picture for e in examples], out.network.encoder.preprocessing)
    data = CaptionedImages(examples, pictures, out.vocabulary, captions_per_image=5, max_words=20)
    (batch,) = batches(data, batch_size=6)
    words = batch.words
    features = out.network.features(batch.inputs)
    unrolled = unroll(out.network.decoder, features, words[:, :, :-1], batch.lengths)
    scores = out.network.decoder.project(unrolled.output)
    loss = word_loss(scores, words[:, :, 1:].reshape(-1)[unrolled.places])
    found = history[-1]
    per_word = float(loss.cross_entropy) / loss.words
    assert found["val/teacher_forced_cross_entropy_per_word"] == pytest.approx(per_word, abs=1e-4)
    assert found["val/teacher_forced_perplexity"] == pytest.approx(math.exp(per_word), rel=1e-4)
    assert found["val/teacher_forced_top5_accuracy"] == pytest.approx(
        float(loss.top5) / loss.words, abs=1e-2
    )


# --- resume


class KilledError(Exception):
    """The machine is gone."""


@pytest.mark.parametrize("last", [2, 4])
def test_a_run_with_everything_that_changes_resumes_to_the_same_losses(last, monkeypatch, tmp_path):
    vectors = tmp_path / "glove.txt"
    vectors.write_text("".join(f"{w} {' '.join(['0.5'] * 16)}\n" for w in ("a", "red", "blue")))
    words = (
        "training.epochs=5",
        "encoder.unfreeze_epoch=3",
        "training.schedule=plateau",
        "training.decay_epochs=2",
        "training.patience=4",
        "training.scheduled_sampling={start: 2, every: 2, increase: 0.3, maximum: 1}",
        "training.label_smoothing=0.1",
        f"words.vectors={vectors}",
        "words.frozen=true",
    )
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole = run(tmp_path / "whole", *words)
    start = TrainingModule.on_train_epoch_start

    def die(self: TrainingModule) -> None:
        if self.current_epoch == last:
            raise KilledError
        start(self)

    monkeypatch.setattr(TrainingModule, "on_train_epoch_start", die)
    with pytest.raises(KilledError):
        run(tmp_path / "killed", *words)
    monkeypatch.setattr(TrainingModule, "on_train_epoch_start", start)
    vectors.unlink()  # the checkpoint has them
    resumed = run(tmp_path / "killed", *words, resume=True)
    assert len(resumed) == len(whole)
    for one, other in zip(whole, resumed, strict=True):
        assert {k: v for k, v in one.items() if k != "captions/s"} == pytest.approx(other, abs=1e-6)
