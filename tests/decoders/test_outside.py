"""Decoders from outside the package: found by import or entry point, checked, trained, saved."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

import cutline
from cutline.config import DecoderConfig, OutsideDecoderConfig, SoftConfig, read_recipe
from cutline.decoders import admit, build_decoder, registry
from cutline.errors import ModelError, UsageError
from cutline.fast import stepper
from cutline.fast.dispatch import WHOLE_CAPTIONS
from cutline.network import Model
from cutline.training import train
from support import strangers
from support.strangers import STRANGERS
from support.suite import V

GRU = "support.strangers:Gru"


@pytest.fixture(autouse=True)
def _nobody_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OUTSIDE", {})


def fields(**given: object) -> DecoderConfig:
    return TypeAdapter(DecoderConfig).validate_python({"name": GRU, **given})


# --- their names and fields


@pytest.mark.parametrize("kind", STRANGERS.values(), ids=lambda kind: kind.__name__)
def test_a_decoder_is_built_by_the_name_of_its_class(kind):
    config = admit(fields(name=f"support.strangers:{kind.__name__}", hidden=6))
    decoder = build_decoder(config, vocabulary_size=V, feature_size=7)
    assert type(decoder) is kind
    assert stepper(decoder) is decoder
    assert type(decoder) not in WHOLE_CAPTIONS
    assert decoder.word_embedding().weight.shape == (V, 6)


def test_fields_come_with_their_defaults_and_survive_json():
    config = admit(fields(hidden=6))
    assert config.model_dump() == {"name": GRU, "head": None, "hidden": 6, "dropout": 0.0}
    both = TypeAdapter(DecoderConfig)
    assert both.validate_json(both.dump_json(config)) == config


def test_a_head_may_stand_before_it():
    config = admit(fields(head=5))
    decoder = build_decoder(config, vocabulary_size=V, feature_size=7)
    assert decoder.head.linear.weight.shape == (5, 7)
    assert decoder.decoder.first.in_features == 5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"width": 3},
            r"'decoder.width' of support.strangers:Gru: .*; its fields are hidden, dropout",
        ),
        ({"hidden": "much"}, r"'decoder.hidden' of support.strangers:Gru: .*integer"),
        (
            {"name": "support.strangers:Functional", "hidden": 0},
            r"'decoder.hidden' of .*greater than 0",
        ),
        ({"name": "support.strangers:Nobody"}, "cannot be imported .*give package.module:Class"),
        ({"name": "no_such_package:Gru"}, "cannot be imported .*no_such_package"),
        ({"name": "support.strangers:Cache"}, "is no cutline.decoders.Decoder; derive it"),
    ],
)
def test_what_does_not_fit_is_answered_with_what_does(given, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        admit(fields(**given))


def test_a_recipe_names_the_class(tmp_path: Path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {path: scenes}\nencoder: {name: test_resnet}\ndecoder: {name: soft}\n")
    read = read_recipe(recipe, [f"decoder={{name: '{GRU}', hidden: 6}}"])
    assert read.decoder == OutsideDecoderConfig(name=GRU, hidden=6)
    with pytest.raises(UsageError, match=r"decoder.hidden is \[1\]; a decoder from outside"):
        read_recipe(recipe, [f"decoder={{name: '{GRU}', hidden: [1]}}"])


def test_a_head_of_no_size_is_answered_with_the_sizes_there_are():
    with pytest.raises(
        ValueError, match=r"decoder.head is 0; give a whole number from 1 to 16,384"
    ):
        fields(head=0)


class Listed(strangers.Gru):
    """A decoder with a default that no recipe can hold."""

    def __init__(self, *, vocabulary_size: int, feature_size: int, layers: tuple = (1, 2)) -> None:  # noqa: ARG002
        super().__init__(vocabulary_size=vocabulary_size, feature_size=feature_size)


def test_a_default_that_no_recipe_can_hold_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(strangers, "Listed", Listed, raising=False)
    with pytest.raises(UsageError, match=r"'decoder.layers.*' of support.strangers:Listed"):
        admit(fields(name="support.strangers:Listed"))


def test_an_entry_point_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch):
    point = EntryPoint("my_gru", GRU, "cutline.decoders")
    for module in ("cutline.config.outside", "cutline.decoders.registry"):
        monkeypatch.setattr(f"{module}.entry_points", lambda **_: EntryPoints([point]))
    decoder = build_decoder(admit(fields(name="my_gru")), vocabulary_size=V, feature_size=7)
    assert type(decoder) is strangers.Gru
    with pytest.raises(ValueError, match="sotf"):
        fields(name="sotf")


def test_those_of_the_package_are_admitted_as_they_are():
    config = SoftConfig()
    assert admit(config) is config


# --- trained, saved, and loaded without their code


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "mine.yaml").write_text(
        "data: {path: scenes, scenes: {train: 24, val: 8, test: 8, side: 32}, min_frequency: 1}\n"
        "encoder: {name: test_resnet, weights: random, size: 32}\n"
        f"decoder: {{name: '{GRU}', hidden: 12}}\n"
        "training: {epochs: 1, batch_size: 8, threads: 1}\n"
        "search: {beam: 2, max_words: 6}\n"
    )
    train(read_recipe(folder / "mine.yaml"), folder / "run", say=lambda _: None)
    return folder / "run" / "best"


@pytest.mark.slow
def test_a_model_of_it_captions_without_its_code(trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "support.strangers", None)
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    assert isinstance(cutline.load(trained).caption(picture).text, str)
    for use in (lambda: cutline.load(trained, backend="torch"), lambda: Model.read(trained)):
        with pytest.raises((ModelError, UsageError), match="not imported because a model names it"):
            use()


@pytest.mark.slow
def test_with_its_code_admitted_pytorch_says_the_same(trained: Path):
    config = fields(hidden=12)
    admit(config)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    ours = cutline.load(trained).caption(picture)
    theirs = cutline.load(trained, backend="torch").caption(picture)
    assert ours.text == theirs.text
    torch.testing.assert_close(ours.log_probs, theirs.log_probs, atol=1e-4, rtol=0)
