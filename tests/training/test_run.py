"""A recipe becomes a model; a killed run becomes the same model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import cutline
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import UsageError
from cutline.evaluation import evaluate
from cutline.network import Model
from cutline.training import train
from support import tiny
from support.tiny import RECIPE, write_recipe

TESTS = Path(tiny.__file__).parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    out = folder / "out"
    said: list[str] = []
    result = train(read_recipe(write_recipe(folder)), out, say=said.append)
    return out, result, said


def test_a_run_leaves_the_best_model_the_last_one_and_a_checkpoint(trained):
    out, result, said = trained
    assert {path.name for path in out.iterdir()} >= {
        "best",
        "last",
        "recipe.yaml",
        "checkpoint.safetensors",
        "tensorboard",
    }
    assert len(result.history) == 2
    assert any("scenes" in line for line in said)
    assert not list(out.rglob("*.tmp")) + list(out.rglob("*.ckpt"))


def test_validation_names_what_is_teacher_forced(trained):
    figures = trained[1].history[0]
    assert figures["val/cider_greedy"] >= 0
    assert {"val/teacher_forced_cross_entropy_per_word", "val/teacher_forced_top5_accuracy"} <= set(
        figures
    )


def test_the_loss_falls(trained):
    first, last = trained[1].history
    name = "train/cross_entropy_per_word"
    assert last[name] < first[name]


def test_a_folder_that_is_not_empty_is_not_trained_into(trained, tmp_path):
    with pytest.raises(UsageError, match="--resume"):
        train(read_recipe(write_recipe(tmp_path)), trained[0], say=lambda _: None)


def test_a_run_is_not_resumed_with_another_recipe(trained, tmp_path):
    other = read_recipe(write_recipe(tmp_path), ["seed=4"])
    with pytest.raises(UsageError, match="another recipe"):
        train(other, trained[0], resume=True, say=lambda _: None)


def test_a_run_is_resumed_however_fast_it_was_and_before_a_field_was_there(trained, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(trained[0], out)
    kept = yaml.safe_load((out / "recipe.yaml").read_text())
    del kept["training"]["validate_beam"]
    (out / "recipe.yaml").write_text(yaml.safe_dump(kept))
    faster = read_recipe(write_recipe(tmp_path), ["training.threads=1", "training.compile=false"])
    assert train(faster, out, resume=True, say=lambda _: None).history == trained[1].history


def test_a_run_is_resumed_whose_recipe_has_the_names_of_an_older_version(trained, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(trained[0], out)
    saved = yaml.safe_load((out / "recipe.yaml").read_text())
    saved["training"]["average"] = saved["training"].pop("ema_decay")
    saved["encoder"]["from_epoch"] = saved["encoder"].pop("unfreeze_epoch")
    saved["training"]["self_critical"]["baseline"] = "others"
    (out / "recipe.yaml").write_text(yaml.safe_dump(saved))
    recipe = read_recipe(write_recipe(tmp_path))
    assert train(recipe, out, resume=True, say=lambda _: None).history == trained[1].history


def test_a_saved_model_captions_as_the_one_that_was_trained(trained, tmp_path):
    captioner = trained[1].captioner
    Model.read(trained[1].folder).save(tmp_path / "copy")
    examples = open_dataset("scenes", train=1, val=4, test=1).split("val")
    pictures = [example.picture.open() for example in examples]
    again = cutline.load(tmp_path / "copy").caption(pictures)
    for one, other in zip(captioner.caption(pictures), again, strict=True):
        assert one.text == other.text
        assert one.log_probs == pytest.approx(other.log_probs)


def test_a_list_of_pictures_is_captioned_as_each_alone(trained):
    captioner = trained[1].captioner
    pictures = [e.picture.open() for e in open_dataset("scenes", train=1, val=3, test=1).examples]
    for picture, together in zip(pictures, captioner.caption(pictures), strict=True):
        alone = captioner.caption(picture)
        assert alone.text == together.text
        assert alone.log_probs == pytest.approx(together.log_probs, abs=1e-4)
        assert alone.attention.shape == (len(alone.words), 8, 8)
        assert alone.attention.sum((1, 2)) == pytest.approx(1, abs=1e-5)


def test_evaluation_of_scenes_tells_truth_and_pointing(trained):
    examples = open_dataset("scenes", train=1, val=1, test=5).split("test")
    found = evaluate(trained[1].captioner, examples, split="test")
    assert set(found.corpus) >= {"BLEU-4", "ROUGE-L", "CIDEr", "truth"}
    assert "split:test" in found.scores.signature
    assert "search:beam-2" in found.scores.signature
    assert set(found.to_dict()) >= {"corpus", "per_image", "signature", "skipped"}
    json.dumps(found.to_dict())


def _losses(history):
    return [
        (row["train/cross_entropy_per_word"], row["val/teacher_forced_cross_entropy_per_word"])
        for row in history
    ]


SCRIPT = """
import sys
from pathlib import Path
from cutline.config import read_recipe
from cutline.training import train
sys.path.insert(0, sys.argv[3])
from support import tiny
with tiny.no_graphs():
    train(read_recipe(sys.argv[1]), Path(sys.argv[2]), say=lambda _: None)
"""


def test_a_run_that_was_killed_resumes_to_the_same_losses(tmp_path):
    path = write_recipe(tmp_path, RECIPE.replace("epochs: 2", "epochs: 8"))
    recipe, killed = read_recipe(path), tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(killed), str(TESTS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    checkpoint = killed / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    with tiny.no_graphs():
        whole = train(recipe, tmp_path / "whole", say=lambda _: None).history
        resumed = train(recipe, killed, resume=True, say=lambda _: None).history
    for one, other in zip(_losses(whole), _losses(resumed), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_nothing_that_a_run_writes_is_pickled(trained):
    for path in Path(trained[0]).rglob("*"):
        if path.is_file():
            assert path.suffix not in {".pt", ".pth", ".pkl", ".ckpt", ".bin"}


@pytest.fixture
def _no_graphs_here():
    with tiny.no_graphs():
        yield


@pytest.mark.usefixtures("_no_graphs_here")
def test_a_frozen_encoder_takes_its_features_from_the_cache(tmp_path):
    text = RECIPE.replace("trainable: all", "trainable: none")
    recipe = read_recipe(write_recipe(tmp_path, text), [f"data.cache={tmp_path / 'cache'}"])
    first = train(recipe, tmp_path / "one", say=lambda _: None).history
    assert len(list((tmp_path / "cache").rglob("index.json"))) == 2
    second = train(recipe, tmp_path / "two", say=lambda _: None).history
    for one, other in zip(_losses(first), _losses(second), strict=True):
        assert one == pytest.approx(other)


@pytest.mark.usefixtures("_no_graphs_here")
def test_the_nic_decoder_trains_and_captions_too(tmp_path):
    text = RECIPE.replace(
        "{name: soft, embedding: 16, hidden: 24, attention: 12, dropout: 0.2, penalty: 0.5}",
        "{name: nic, embedding: 16, hidden: 24}",
    )
    result = train(read_recipe(write_recipe(tmp_path, text)), tmp_path / "out", say=lambda _: None)
    picture = open_dataset("scenes", train=1, val=1, test=1).examples[0].picture.open()
    assert result.captioner.caption(picture).attention is None
