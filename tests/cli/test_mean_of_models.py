"""`cutline average`: the mean of models of one kind, and of no others."""

import pytest
import torch

from cutline.config import read_recipe
from cutline.errors import UsageError
from cutline.network import Model, average
from cutline.training import train
from support.terminal import cutline
from support.tiny import no_graphs, write_recipe


@pytest.fixture(scope="module", autouse=True)
def _no_graphs():
    """The mean is of weights."""
    with no_graphs():
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model after one epoch, and two that went on from it."""
    folder = tmp_path_factory.mktemp("models")
    recipe = write_recipe(folder)

    def trained(name, *words):
        train(read_recipe(recipe, words), folder / name, say=lambda _: None)
        return folder / name / "last"

    begun = trained("begun", "training.epochs=1")
    further = [f"training.start_from={begun}", "training.epochs=1"]
    return begun, trained("one", *further, "seed=4"), trained("two", *further, "seed=5")


def test_weights_are_the_mean_by_their_shares(models, tmp_path):
    _, one, two = models
    words = ["average", str(one), str(two), "--weights", "3,1", "--out", str(tmp_path / "mean")]
    done = cutline(*words)
    assert done.returncode == 0
    mean = Model.read(tmp_path / "mean")
    first, second = (Model.read(folder).network.state_dict() for folder in (one, two))
    for name, found in mean.network.state_dict().items():
        a, b = first[name], second[name]
        wanted = 0.75 * a + 0.25 * b if a.is_floating_point() else a
        torch.testing.assert_close(found, wanted)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    parts = mean.config.provenance["mean of"]
    assert [(part["name"], part["weight"]) for part in parts] == [("one", 0.75), ("two", 0.25)]
    assert mean.config.scores == {}
    card = (tmp_path / "mean" / "README.md").read_text()
    assert card.index("### one, weight 0.75") < card.index("### two, weight 0.25")
    assert "| seed | 5 |" in card
    assert "exists and is not overwritten" in cutline(*words).stderr


def test_what_is_no_mean_is_refused(models, tmp_path):
    begun, one, _ = models
    other = read_recipe(write_recipe(tmp_path), ["decoder.hidden=20", "training.epochs=1"])
    train(other, tmp_path / "small", say=lambda _: None)
    small = Model.read(tmp_path / "small" / "last")
    with pytest.raises(UsageError, match=r"begun and small are not of the same size; average"):
        average([Model.read(begun), small])
    for given, shares in (
        ([Model.read(one)], None),
        ([Model.read(one), Model.read(begun)], [1, 0]),
    ):
        with pytest.raises(UsageError, match="a positive weight for each"):
            average(given, shares)
    words = [str(one), str(begun), "--out", str(tmp_path / "x"), "--weights", "2;1"]
    assert "--weights is 2;1; give one number for each model" in cutline("average", *words).stderr
