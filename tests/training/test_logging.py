"""Curves, captions, attention and the recipe in the logs; lines on the console."""

import csv
import itertools
import re
import sys
from types import SimpleNamespace

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cutline.config import read_recipe
from cutline.errors import UsageError
from cutline.training import train
from cutline.training.samples import draw_samples
from support.tiny import write_recipe

SIZES = ("data.scenes.train=16", "training.threads=1")


def run(folder, *words, resume=False):
    said: list[str] = []
    recipe = read_recipe(write_recipe(folder), [*SIZES, *words])
    result = train(recipe, folder / "out", resume=resume, say=said.append)
    return result.history, said


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A run that logs each step and two pictures, and what TensorBoard reads of it."""
    folder = tmp_path_factory.mktemp("logged")
    history, _ = run(folder, "training.log_every=1", "training.log_images=2")
    events = EventAccumulator(str(folder / "out" / "tensorboard"), {"images": 0, "scalars": 0})
    return history, events.Reload()


def test_both_learning_rates_are_logged_at_each_step(logged):
    _, events = logged
    for part, full in (("decoder", 3e-3), ("encoder", 1e-4)):
        points = events.Scalars(f"learning_rate/{part}")
        assert [point.step for point in points] == [0, 1, 2, 3]
        assert points[0].value == pytest.approx(full)
        assert all(a.value > b.value for a, b in itertools.pairwise(points))


def test_losses_say_what_they_are_of(logged):
    history, events = logged
    names = set(events.Tags()["scalars"])
    assert {"train/cross_entropy_per_word_step", "train/cross_entropy_per_caption_epoch"} <= names
    assert {"train/loss_per_caption_epoch", "train/top5_accuracy_epoch"} <= names
    assert not {name for name in names if re.search(r"(loss|cross_entropy)(_step|_epoch)?$", name)}
    row = history[-1]
    for split in ("train/", "val/teacher_forced_"):
        words = row[f"{split}cross_entropy_per_caption"] / row[f"{split}cross_entropy_per_word"]
        assert 4 < words < 20, "a caption has so many words"


def test_validation_logs_bleu_beside_cider(logged):
    history, events = logged
    points = events.Scalars("val/bleu4_greedy")
    assert [p.value for p in points] == pytest.approx([row["val/bleu4_greedy"] for row in history])
    assert all(0 <= p.value <= 1 for p in points)


def test_captions_and_attention_are_pictures_after_each_epoch(logged):
    _, events = logged
    assert set(events.Tags()["images"]) == {"samples", "attention/1", "attention/2"}
    for name in events.Tags()["images"]:
        assert [picture.step for picture in events.Images(name)] == [2, 4]
        assert min(events.Images(name)[0].width, events.Images(name)[0].height) > 100


def test_the_recipe_is_logged_as_text(logged):
    _, events = logged
    (text,) = events.Tensors("recipe/text_summary")
    assert b"name: test_resnet" in text.tensor_proto.string_val[0]


def test_a_decoder_that_does_not_attend_logs_captions_without_attention(tmp_path):
    words = ("decoder={name: nic, embedding: 16, hidden: 24}", "training.log_images=1")
    run(tmp_path, *words, "training.epochs=1")
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
    assert events.Tags()["images"] == ["samples"]


def test_samples_show_any_number_of_pictures_and_an_empty_caption():
    picture = Image.new("RGB", (40, 80), "red")
    sizes = [
        draw_samples([(picture, caption, "a $red$ one " * 20)] * number).size
        for number, caption in ((1, ""), (4, "red"), (5, "a $x_{ " * 30))
    ]
    assert sizes[0][0] * 4 == pytest.approx(sizes[1][0], abs=4)
    assert sizes[1][0] == sizes[2][0]
    assert sizes[2][1] == pytest.approx(2 * sizes[1][1], abs=2)


def test_csv_begins_a_new_file_when_a_run_goes_on(tmp_path):
    run(tmp_path, "training.logger=csv", "training.log_images=2")
    run(tmp_path, "training.logger=csv", "training.epochs=3", resume=True)
    ciders = []
    for version in (0, 1):
        rows = csv.DictReader((tmp_path / f"out/csv/version_{version}/metrics.csv").open())
        ciders.append([row["val/cider_greedy"] for row in rows if row["val/cider_greedy"]])
    assert [len(found) for found in ciders] == [2, 1]
    assert not (tmp_path / "out" / "tensorboard").exists()
    assert "test_resnet" in (tmp_path / "out/csv/version_0/hparams.yaml").read_text()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_refused_with_the_pip_line(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("cutline.training.loggers.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=f"type pip install {name}, or training.logger=tensorb"):
        run(tmp_path, f"training.logger={name}")
    assert not (tmp_path / "out").exists()


def test_a_line_an_epoch_tells_its_time_its_scores_and_how_long_nothing_was_better(
    tmp_path, monkeypatch, capsys
):
    ciders = iter([0.5, 1.5, 1.0, 0.5])

    def score(*_, **__):
        return SimpleNamespace(corpus={"CIDEr": next(ciders), "BLEU-4": 0.25})

    monkeypatch.setattr("cutline.training.module.score", score)
    run(tmp_path, "training.epochs=4")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert all(re.match(rf"epoch {n}/4  \d+\.\d s  loss per ", ln) for n, ln in enumerate(lines, 1))
    assert all("val BLEU-4 0.250" in line and "loss per caption" in line for line in lines)
    assert [line.rpartition("  ")[2] for line in lines] == [
        "the best so far",
        "the best so far",
        "1 epoch since the last improvement",
        "2 epochs since the last improvement",
    ]


def test_a_line_every_so_many_steps_where_it_is_asked_for(tmp_path, capsys):
    run(tmp_path, "training.epochs=1", "training.batch_size=4", "training.log_every=2")
    lines = [line for line in capsys.readouterr().out.splitlines() if "  step " in line]
    assert [re.search(r"step (\d/\d)", line)[1] for line in lines] == ["2/4", "4/4"]
    for line in lines:
        step, data = map(float, re.search(r"([\d.]+) s a step \(([\d.]+) s for", line).groups())
        assert 0 <= data <= step
        assert re.search(r"loss per word \d+\.\d+  top-5 [01]\.\d", line)
