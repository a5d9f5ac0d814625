"""A full disk or a place that cannot be written is a sentence; what was there before stays."""

import resource
import shutil
from contextlib import contextmanager

import pytest
import torch
from tensorboard.summary.writer import record_writer

import cutline
from cutline.config import read_recipe
from cutline.data.cache import cached_features
from cutline.data.examples import Photograph
from cutline.errors import UsageError
from cutline.training import train
from cutline.training.checkpoints import read_epochs
from support.terminal import cutline as command
from support.tiny import write_photographs, write_recipe

SIZES = ("data.scenes.train=8", "training.threads=1")
RUN = {"best", "last", "checkpoint.safetensors", "recipe.yaml", "tensorboard"}


@contextmanager
def files_of_at_most(size):
    """Refuse longer files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(folder, *words, resume=False):
    recipe = read_recipe(write_recipe(folder), [*SIZES, *words])
    return train(recipe, folder / "out", resume=resume, say=lambda _: None)


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder / "out"


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path


@pytest.mark.parametrize("file", ["checkpoint.safetensors", "best/model.safetensors"])
def test_a_disk_that_fills_up_leaves_the_models_and_the_checkpoint(file, copy):
    limit = (copy / "out" / file).stat().st_size - 1000
    what = r"out/(checkpoint\.safetensors|best|last) cannot be written \(.*\); "
    with files_of_at_most(limit), pytest.raises(UsageError, match=what):
        run(copy, "training.epochs=3", resume=True)
    assert names(copy / "out") == RUN
    assert read_epochs(copy / "out" / "checkpoint.safetensors") == 2
    for name in ("best", "last"):
        cutline.load(copy / "out" / name)
    assert len(run(copy, "training.epochs=3", resume=True).history) == 3


def test_the_command_says_it_in_one_sentence(copy):
    recipe = write_recipe(copy)
    words = (*SIZES, "training.epochs=3", "--resume", "--out", copy / "out")
    with files_of_at_most(10_000):
        done = command("train", recipe, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"cutline: {copy / 'out'}")


def test_curves_that_cannot_be_written_are_told_in_a_sentence(tmp_path, monkeypatch, capfd):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_writer.RecordWriter, "write", full)
    with pytest.raises(UsageError, match=r"tensorboard cannot be written \(No space left"):
        run(tmp_path)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_run_below_a_file_or_at_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    recipe = read_recipe(write_recipe(tmp_path), SIZES)
    for out, what in (("file", "is a file; give a folder"), ("file/out", "file is a file, not a")):
        with pytest.raises(UsageError, match=what):
            train(recipe, tmp_path / out, say=lambda _: None)


@pytest.mark.parametrize("place", ["file", "file/cache"])
def test_a_feature_cache_at_a_file_is_told_in_a_sentence(place, tmp_path):
    (tmp_path / "file").touch()
    words = ("encoder.trainable=none", f"data.cache={tmp_path / place}")
    with pytest.raises(UsageError, match=r"feature cache .* cannot be used .*data\.cache=FOLDER"):
        run(tmp_path, *words)


def test_a_feature_cache_on_a_full_disk_keeps_only_what_it_can_go_on_from(tmp_path):
    data = write_photographs(tmp_path / "data", train=300, val=4)
    pictures = [Photograph(data / "images" / f"{number}.png") for number in range(300)]

    def compute():
        return cached_features(
            pictures,
            folder=tmp_path / "cache",
            key={},
            shape=(10, 50),
            square=lambda _: torch.zeros(2, 2, 3).byte().numpy(),
            encode=lambda squares: torch.ones(len(squares), 10, 50).numpy(),
        )

    for limit, left in ((50_000, {"lock"}), (280_000, {"lock", "features.npy", "progress.json"})):
        with files_of_at_most(limit), pytest.raises(UsageError, match="File too large"):
            compute()
        [home] = (tmp_path / "cache" / "features").iterdir()
        assert names(home) - {"lock"} == left - {"lock"}
    assert (home / "features.npy").stat().st_size < 280_000
    assert (compute().features == 1).all()


def test_a_kill_while_a_model_is_replaced_costs_no_model(copy):
    out = copy / "out"
    (out / "best").rename(out / ".best.old")  # between the two steps
    (out / ".0123456789abcdef.part").mkdir()
    (out / ".fedcba9876543210.part").touch()
    run(copy, resume=True)
    assert names(out) == RUN
    cutline.load(out / "best")
