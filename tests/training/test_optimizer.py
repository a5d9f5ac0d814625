"""Optimisers by name: PyTorch's, with what the recipe says."""

import pytest
import torch

from cutline.config import read_recipe
from cutline.errors import UsageError
from cutline.network import build_network
from cutline.training import train
from cutline.training.optimizer import build_optimizer
from support.tiny import write_recipe

SIZES = ("data.scenes.train=16", "training.threads=1", "training.warmup_steps=0")
NAMES = ["AdamW", "Adam", "SGD", "RMSprop"]


def built(folder, *words):
    recipe = read_recipe(write_recipe(folder), words)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=9)
    return network, build_optimizer(network, recipe)


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_names_pytorchs_optimiser(name, tmp_path):
    network, optimization = built(tmp_path, f"training.optimizer={name}")
    assert type(optimization.optimizer) is getattr(torch.optim, name)
    assert optimization.learning_rates() == {"decoder": 3e-3, "encoder": 1e-4}
    given = [p for group in optimization.optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in given} == {id(p) for p in network.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", NAMES)
def test_only_matrices_decay(name, tmp_path):
    _, optimization = built(tmp_path, f"training.optimizer={name}", "training.weight_decay=0.5")
    for group in optimization.optimizer.param_groups:
        matrices = {p.ndim > 1 for p in group["params"]}
        assert matrices == {group["weight_decay"] == 0.5}


@pytest.mark.parametrize("name", ["SGD", "RMSprop"])
def test_momentum_is_that_of_the_recipe(name, tmp_path):
    _, optimization = built(tmp_path, f"training.optimizer={name}", "training.momentum=0.9")
    assert {group["momentum"] for group in optimization.optimizer.param_groups} == {0.9}


def test_a_frozen_encoder_has_no_learning_rate(tmp_path):
    _, optimization = built(tmp_path, "encoder.trainable=none")
    assert set(optimization.learning_rates()) == {"decoder"}


@pytest.mark.parametrize("name", ["AdamW", "Adam"])
def test_momentum_of_an_optimiser_without_it_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=f"optimizer is {name}; give training.optimizer=SGD, or"):
        built(tmp_path, "training.momentum=0.9", f"training.optimizer={name}")


@pytest.mark.parametrize(("given", "meant"), [("adam", "Adam"), ("sgd", "SGD"), ("RMSProp", "RM")])
def test_an_optimiser_in_another_case_is_recognised_in_the_error(given, meant, tmp_path):
    with pytest.raises(UsageError, match=f"did you mean '{meant}.*Allowed: Adam, AdamW, RMSprop"):
        built(tmp_path, f"training.optimizer={given}")


@pytest.mark.parametrize("words", [("Adam",), ("SGD", "training.momentum=0.9"), ("RMSprop",)])
def test_a_run_with_another_optimiser_resumes_to_the_same_losses(words, tmp_path):
    name, *more = words
    plan = (f"training.optimizer={name}", *more, "training.schedule=constant", *SIZES)
    for folder, epochs in (("whole", [3]), ("parts", [1, 3])):
        (tmp_path / folder).mkdir()
        for count in epochs:
            recipe = read_recipe(
                write_recipe(tmp_path / folder), [*plan, f"training.epochs={count}"]
            )
            out = tmp_path / folder / "out"
            history = train(recipe, out, resume=count != epochs[0], say=len).history
        if folder == "whole":
            whole = history
    for one, other in zip(whole, history, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
