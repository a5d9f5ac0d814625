"""A run that has finished takes more epochs, with its weights, optimiser and history."""

import shutil

import pytest

from cutline.config import read_recipe
from cutline.errors import UsageError
from cutline.training import train
from cutline.training.module import TrainingModule
from support.tiny import write_recipe

SIZES = ("data.scenes.train=16", "training.threads=1")


def run(folder, *words, resume=False):
    said: list[str] = []
    recipe = read_recipe(write_recipe(folder), [*SIZES, *words])
    return train(recipe, folder / "out", resume=resume, say=said.append).history, said


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs, whole."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder)[0]


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished[0] / "out", tmp_path / "out")
    return tmp_path


@pytest.fixture
def rates(monkeypatch) -> list[float]:
    """The decoder's learning rate at the start of each step."""
    found: list[float] = []
    step = TrainingModule.training_step

    def spy(self, batch, index):
        found.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", spy)
    return found


def test_a_finished_run_goes_on_with_more_epochs(finished, copy):
    history, said = run(copy, "training.epochs=4", resume=True)
    assert history[:2] == finished[1]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    line = next(line for line in said if line.startswith("epochs 3 to 4 follow (2 were planned)"))
    assert "they were at 0% of the full ones, go on at 50% and reach nothing at epoch 4" in line


def test_the_rate_goes_on_as_in_a_run_of_the_new_length(copy, tmp_path_factory, rates):
    run(tmp_path_factory.mktemp("long"), "training.epochs=4")
    whole = list(rates)
    rates.clear()
    run(copy, "training.epochs=4", resume=True)
    assert rates == pytest.approx(whole[len(whole) // 2 :])


def test_a_constant_rate_makes_the_longer_run_the_same_as_one_that_was_planned(tmp_path):
    for name in ("short", "long"):
        (tmp_path / name).mkdir()
    run(tmp_path / "short", "training.schedule=constant")
    words = ("training.schedule=constant", "training.epochs=3")
    longer, said = run(tmp_path / "short", *words, resume=True)
    whole, _ = run(tmp_path / "long", *words)
    for one, other in zip(longer, whole, strict=True):
        assert {k: v for k, v in one.items() if k != "captions/s"} == pytest.approx(other, abs=1e-6)
    assert "epoch 3 follows (2 were planned); learning rates go on" in "\n".join(said)


def test_fewer_epochs_than_there_are_is_refused(copy):
    with pytest.raises(UsageError, match=r"trained for 2 epochs, but training\.epochs is 1; give"):
        run(copy, "training.epochs=1", resume=True)


def test_a_run_that_its_patience_stopped_goes_on_with_more_of_it(tmp_path, monkeypatch):
    from cutline.training.callbacks import StopEarly

    end = StopEarly.on_train_epoch_end

    def worse(self, trainer, module):
        trainer.callback_metrics[self.figure] = -trainer.current_epoch
        end(self, trainer, module)

    monkeypatch.setattr(StopEarly, "on_train_epoch_end", worse)
    words = ("training.epochs=5",)
    assert len(run(tmp_path, *words, "training.patience=1")[0]) == 2
    longer, said = run(tmp_path, *words, "training.patience=2", resume=True)
    assert len(longer) == 3
    assert said[-1].startswith("stopped: in 2 epochs")


def test_another_recipe_is_refused_with_the_way_to_go_on(copy):
    with pytest.raises(UsageError, match=r"another recipe .* training\.start_from=.*/out/best to"):
        run(copy, "training.epochs=4", "training.learning_rate=0.1", resume=True)


def test_what_was_planned_is_kept_in_the_recipe(copy):
    run(copy, "training.epochs=3", resume=True)
    assert read_recipe(copy / "out" / "recipe.yaml").training.epochs == 3
