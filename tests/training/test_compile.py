"""A training is compiled when it is long enough, or when it is asked for."""

import pytest
import yaml

from cutline.compiled import compiler as found_compiler
from cutline.config import Recipe, read_recipe
from cutline.errors import UsageError
from cutline.fast import additive
from cutline.training import train
from cutline.training.compile import wants_compiler
from support.tiny import RECIPE, write_recipe

PAPER = {"device": "cpu", "vocabulary": 9490, "regions": 196}


def recipe(name: str = "soft", **training: object) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"path": "scenes"},
            "encoder": {"name": "resnet10t"},
            "decoder": {"name": name},
            "training": {"epochs": 10, **training},
        }
    )


@pytest.fixture
def compiler(monkeypatch, tmp_path) -> None:
    """A machine with one, whatever this one has."""
    (tmp_path / "g++").touch(mode=0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))


@pytest.fixture
def no_compiler(monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")


@pytest.mark.usefixtures("compiler")
def test_a_long_training_is_compiled_and_a_short_one_is_not():
    assert wants_compiler(recipe(), words=360_000, **PAPER)
    assert not wants_compiler(recipe(), words=10_000, **PAPER)
    assert not wants_compiler(recipe(epochs=1), words=100_000, **PAPER)
    assert wants_compiler(recipe(epochs=10), words=100_000, **PAPER)
    assert not wants_compiler(recipe("dot"), words=100_000, **PAPER)  # it has no pairs


@pytest.mark.usefixtures("compiler")
def test_what_is_asked_for_is_done():
    assert wants_compiler(recipe(compile=True), words=10, device="cpu", vocabulary=10, regions=1)
    assert not wants_compiler(recipe(compile=False), words=10**9, **PAPER)


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_it_is_done_without_unless_it_was_asked_for():
    assert not wants_compiler(recipe(), words=10**9, **PAPER)
    with pytest.raises(UsageError, match=r"no C\+\+ compiler.*install g\+\+"):
        wants_compiler(recipe(compile=True), words=10**9, **PAPER)


@pytest.mark.usefixtures("no_compiler")
def test_a_gpu_needs_no_loops_of_a_cpu():
    assert not wants_compiler(recipe(compile=True), words=10**9, **{**PAPER, "device": "cuda"})


@pytest.mark.usefixtures("compiler")
def test_only_what_is_done_is_counted():
    once = recipe("hard")
    assert not wants_compiler(once, words=30_000, **PAPER)
    twice = once.decoder.model_copy(update={"samples": 9})
    assert wants_compiler(once.model_copy(update={"decoder": twice}), words=30_000, **PAPER)
    words = {**PAPER, "regions": 1, "vocabulary": 10**5}
    assert wants_compiler(recipe(), words=50_000, **words)
    assert not wants_compiler(recipe(objective="self_critical"), words=50_000, **words)


@pytest.mark.slow
@pytest.mark.skipif(found_compiler() is None, reason="no C++ compiler")
def test_a_compiled_training_ends_where_the_other_does(tmp_path, monkeypatch):
    monkeypatch.setattr(additive.pair_sums, "compiled", None)  # of another test's compiling
    losses = []
    for wanted in (False, True):
        folder = tmp_path / str(wanted)
        folder.mkdir()
        content = yaml.safe_load(RECIPE)
        content["training"]["compile"] = wanted
        path = write_recipe(folder, yaml.safe_dump(content))
        said: list[str] = []
        result = train(read_recipe(path), folder / "out", say=said.append)
        losses.append([epoch["train/cross_entropy_per_word"] for epoch in result.history])
        assert any("compiled" in line for line in said) == wanted
        assert (additive.pair_sums.compiled is not None) == wanted
        assert not additive.pair_sums.failed
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
