"""A moving average of the weights: it is what is validated and saved; training itself goes on."""

import pytest
import torch
from safetensors.torch import load_file

import cutline
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.evaluation import evaluate
from cutline.training import module, train
from cutline.training.callbacks import KeepModels
from support.tiny import write_recipe

STEPS = 9  # three epochs of 24 scenes, eight at a time


def run(folder, *words, resume=False):
    out = folder / "out"
    recipe = read_recipe(write_recipe(folder), ["training.epochs=3", *words])
    return train(recipe, out, resume=resume, say=lambda _: None), out


def saved(out):
    return load_file(out / "last" / "model.safetensors")


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    return run(tmp_path_factory.mktemp("averaged"), "training.ema_decay=0.8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"))


def test_training_is_the_same_with_it_and_without(averaged, plain):
    for one, other in zip(averaged[0].history, plain[0].history, strict=True):
        name = "train/cross_entropy_per_word"
        assert one[name] == pytest.approx(other[name], rel=1e-5)


def test_what_is_saved_is_the_average_of_the_steps(averaged, monkeypatch, tmp_path):
    weights = []
    step = module.TrainingModule.on_train_batch_start

    def watched(self, *given):
        weights.append(dict(self.network.named_parameters())[name].detach().clone())
        step(self, *given)

    name = next(key for key in saved(averaged[1]) if key.startswith("decoder.") and "embed" in key)
    monkeypatch.setattr(module.TrainingModule, "on_train_batch_start", watched)
    _, out = run(tmp_path)
    after = [*weights[1:], saved(out)[name]]
    assert len(after) == STEPS
    average = after[0]
    for weight in after[1:]:
        average = 0.8 * average + 0.2 * weight
    assert torch.allclose(saved(averaged[1])[name], average, atol=1e-6)
    assert not torch.allclose(average, after[-1], atol=1e-6)


def test_it_is_the_averaged_weights_that_are_validated(averaged):
    result, out = averaged
    captioner = cutline.load(out / "last")
    scenes = read_recipe(out / "recipe.yaml").data.scenes
    examples = open_dataset("scenes", **scenes.model_dump()).split("val")
    search = captioner.search(beam=1)
    found = evaluate(captioner, examples, split="val", search=search, metrics=["CIDEr"])
    assert found.corpus["CIDEr"] == pytest.approx(result.history[-1]["val/cider_greedy"], rel=1e-4)


def test_a_resumed_run_has_the_same_average(averaged, tmp_path, monkeypatch):
    end = KeepModels.on_train_epoch_end

    def killed(self, trainer, pl_module):
        end(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeepModels, "on_train_epoch_end", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(tmp_path, "training.ema_decay=0.8")
    monkeypatch.undo()
    _, out = run(tmp_path, "training.ema_decay=0.8", resume=True)
    wanted, found = saved(averaged[1]), saved(out)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)
