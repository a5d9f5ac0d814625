"""Recipes: what is read, what can be changed, and what people are told when it is wrong."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutline.config import (
    LastStages,
    NicConfig,
    Recipe,
    ScheduledSamplingConfig,
    SearchConfig,
    SoftConfig,
    change_search,
    find_recipe,
    read_recipe,
    recipe_folder,
    translate,
)
from cutline.errors import UsageError, fault_reason

SMALLEST = "data: {path: scenes}\nencoder: {name: resnet18}\ndecoder: {name: soft}\n"
SHIPPED = sorted(recipe_folder().rglob("*.yaml"))


def read(tmp_path: Path, *overrides: str, text: str = SMALLEST) -> Recipe:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path, overrides)


def complaint(tmp_path: Path, *overrides: str, text: str = SMALLEST) -> str:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, *overrides, text=text)
    return str(caught.value).replace(str(tmp_path / "mine.yaml"), "mine.yaml")


# --- reading


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path):
    assert isinstance(read_recipe(path), Recipe)


def test_a_recipe_is_found_by_its_name_or_its_path(tmp_path, monkeypatch):
    shipped = recipe_folder() / "scenes" / "soft.yaml"
    for name in ("scenes/soft", "scenes/soft.yaml", "recipes/scenes/soft.yaml", str(shipped)):
        assert find_recipe(name).samefile(shipped)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SMALLEST)
    assert find_recipe("mine.yaml") == Path("mine.yaml")


def test_what_a_recipe_does_not_say_has_its_default(tmp_path):
    recipe = read(tmp_path)
    assert isinstance(recipe.decoder, SoftConfig)
    assert recipe.training.epochs == 10
    assert recipe.data.min_frequency == 5
    assert recipe.data.captions_per_image == 5
    assert recipe.encoder.trainable == "none"
    assert read(tmp_path, "decoder.name=nic").decoder == NicConfig()


def test_a_recipe_written_out_reads_as_itself(tmp_path):
    recipe = read(tmp_path, "encoder.trainable.last_stages=2", "seed=7")
    assert Recipe.model_validate(recipe.model_dump()) == recipe


# --- changing


@pytest.mark.parametrize(
    ("override", "section", "field", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("training.learning_rate=1e-3", "training", "learning_rate", 1e-3),
        ("training.learning_rate=.5E-4", "training", "learning_rate", 0.5e-4),
        ("training.patience=", "training", "patience", None),
        ("training.patience=null", "training", "patience", None),
        ("data.path=a=b", "data", "path", "a=b"),
        ("data.path=photos/2024 (best), v1", "data", "path", "photos/2024 (best), v1"),
        ("data.path='2024'", "data", "path", "2024"),
        ("data.path=2024", "data", "path", "2024"),
        ("data.path=nan", "data", "path", "nan"),
        ("data.path=[unfinished", "data", "path", "[unfinished"),
        ("encoder.size=96", "encoder", "size", 96),
        ("encoder.trainable=all", "encoder", "trainable", "all"),
        ("encoder.trainable.last_stages=2", "encoder", "trainable", LastStages(last_stages=2)),
        ("encoder.trainable={last_stages: 2}", "encoder", "trainable", LastStages(last_stages=2)),
        ("encoder.options={pad_type: same}", "encoder", "options", {"pad_type": "same"}),
        ("encoder.options.pad_type=same", "encoder", "options", {"pad_type": "same"}),
        ("encoder.options.drop_rate=1e-1", "encoder", "options", {"drop_rate": 0.1}),
        ("encoder.options.layers=[1, 2]", "encoder", "options", {"layers": [1, 2]}),
        ("decoder.head=128", "decoder", "head", 128),
        ("encoder.weights=random", "encoder", "weights", "random"),
        ("words.vectors=a b.txt.gz", "words", "vectors", "a b.txt.gz"),
        (
            "training.scheduled_sampling.start=3",
            "training",
            "scheduled_sampling",
            ScheduledSamplingConfig(start=3),
        ),
        (
            "training.scheduled_sampling={}",
            "training",
            "scheduled_sampling",
            ScheduledSamplingConfig(),
        ),
    ],
)
def test_a_word_changes_one_field(tmp_path, override, section, field, value):
    recipe = read(tmp_path, override)
    assert getattr(getattr(recipe, section), field) == value
    unchanged = read(tmp_path).model_dump()
    changed = recipe.model_dump()
    changed[section].pop(field)
    unchanged[section].pop(field)
    assert changed == unchanged


def test_words_reach_into_sections_the_recipe_does_not_have(tmp_path):
    assert read(tmp_path, "data.scenes.train=50").data.scenes.train == 50


def test_the_last_word_wins(tmp_path):
    assert read(tmp_path, "seed=2", "seed=3").seed == 3


def test_a_missing_section_can_be_given_in_words(tmp_path):
    recipe = read(tmp_path, "decoder.name=nic", text=SMALLEST.replace("decoder: {name: soft}", ""))
    assert recipe.decoder.name == "nic"


def test_the_recipe_file_may_say_1e_3(tmp_path):
    text = SMALLEST + "training: {learning_rate: 1e-3}"
    assert read(tmp_path, text=text).training.learning_rate == 1e-3


# --- what people are told


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "training.epoch=3",
            "unknown key 'training.epoch'; did you mean 'epochs'? Allowed: batch_size, compile",
        ),
        ("traning.epochs=3", "unknown key 'traning'; did you mean 'training'? Allowed: data, dec"),
        ("data.scenes.trian=3", "unknown key 'data.scenes.trian'; did you mean 'train'? Allowed: "),
        ("decoder.hiden=3", "unknown key 'decoder.hiden'; did you mean 'hidden'? Allowed: attenti"),
        ("decoder.soft=3", "unknown key 'decoder.soft'; Allowed: attention, "),
        ("encoder.LastStages=3", "unknown key 'encoder.LastStages'; "),
        ("decoder.name=sotf", "'decoder.name' is 'sotf'; did you mean 'soft'? Allowed: adaptive"),
        ("decoder.name=", "'decoder.name' is empty; Allowed: adaptive, "),
        ("decoder.name=[soft]", "'decoder.name' is ['soft']; "),
        ("decoder=soft", "'decoder' is 'soft', but it is a section; type decoder.name=VALUE."),
        ("training=3", "'training' is 3, but it is a section; type training.objective=VALUE."),
        ("training=", "'training' is empty, but it is a section; type training.objective=VALUE."),
        ("encoder.options=3", "'encoder.options' is 3, but it is a section; type encoder.options."),
        ("training.epochs=three", "'training.epochs' is 'three'; give a whole number."),
        ("training.epochs=2.5", "'training.epochs' is 2.5; give a whole number."),
        ("training.epochs=", "'training.epochs' is empty; give a whole number."),
        ("training.epochs.x=2", "'training.epochs' is {'x': 2}; give a whole number."),
        ("training.epochs=0", "'training.epochs' is 0; give a number above 0."),
        ("encoder.size=10", "'encoder.size' is 10; give a number at least 16."),
        ("decoder.dropout=1", "'decoder.dropout' is 1; give a number below 1.0."),
        ("training.learning_rate=fast", "'training.learning_rate' is 'fast'; give a number."),
        ("training.learning_rate=inf", "'training.learning_rate' is 'inf'; give a finite number."),
        ("training.learning_rate=nan", "'training.learning_rate' is 'nan'; give a finite number."),
        ("training.schedule=cosin", "'training.schedule' is 'cosin'; did you mean 'cosine'? All"),
        (
            "encoder.trainable=some",
            "'encoder.trainable' is 'some'; Allowed: all, none, {last_stage",
        ),
        ("encoder.trainable={last_stages: 0}", "'encoder.trainable.last_stages' is 0; give a num"),
        ("encoder.name=no", "'encoder.name' is False; give text, in quotes if YAML takes it for "),
        ("data.path=", "'data.path' is empty; give text"),
        ("training.scheduled_sampling=3", "'training.scheduled_sampling' is 3, but it is a sect"),
        (
            "training.scheduled_sampling.strat=3",
            "unknown key 'training.scheduled_sampling.strat'; did you mean 'start'?",
        ),
        (
            "training.scheduled_sampling.maximum=2",
            "'training.scheduled_sampling.maximum' is 2; give a number at most 1.0.",
        ),
        (
            "encoder.unfreeze_epoch=3",
            "encoder.unfreeze_epoch is of an encoder that is trained, but encoder.trainable is",
        ),
        ("encoder.positions=true", "encoder.positions is of an encoder that is trained, but enc"),
        (
            "words.frozen=true",
            "words.frozen leaves the vectors as they are, but none are given; give words.vectors",
        ),
        ("data.path=2024-01-01", "'data.path' is datetime.date(2024, 1, 1); give text, in quotes"),
    ],
)
def test_a_wrong_word_is_answered_with_what_is_allowed(tmp_path, override, sentence):
    said = complaint(tmp_path, override)
    assert said.startswith(f"mine.yaml: {sentence}")
    assert said.count("'decoder'") + said.count("'encoder'") <= 1
    assert not any(word in said for word in ("nput should", "instance of", "literal", "tagged"))
    assert said.endswith(".")


@pytest.mark.parametrize("word", ["epochs", "=3", "training..epochs=3", ".seed=3"])
def test_a_word_that_changes_nothing_is_refused(tmp_path, word):
    assert complaint(tmp_path, word) == (
        f"'{word}' does not change a recipe; write key=value, such as training.epochs=3."
    )


def test_each_fault_is_named_once(tmp_path):
    said = complaint(tmp_path, "decoder.hidden=x", "decoder.dropout=2", "encoder.trainable={n: 2}")
    assert said == (
        "mine.yaml: 'encoder.trainable.last_stages' is missing; add it, or type "
        "encoder.trainable.last_stages=VALUE. unknown key 'encoder.trainable.n'; Allowed: "
        "last_stages. 'decoder.hidden' is 'x'; give a whole number. 'decoder.dropout' is 2; "
        "give a number below 1.0."
    )


def test_missing_sections_are_named_with_what_to_type(tmp_path):
    assert complaint(tmp_path, text="seed: 3") == (
        "mine.yaml: 'data' is missing; add it, or type data.path=VALUE. "
        "'encoder' is missing; add it, or type encoder.name=VALUE. "
        "'decoder' is missing; add it, or type decoder.name=VALUE."
    )
    nameless = SMALLEST.replace("name: soft", "hidden: 3")
    assert complaint(tmp_path, text=nameless) == (
        "mine.yaml: 'decoder.name' is missing; add it, or type decoder.name=VALUE."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The recipe mine.yaml has no keys; a recipe has seed, data, encoder, decoder, word"),
        ("- soft", "The recipe mine.yaml has no keys; a recipe has seed, "),
        ("data: {path: [", "The recipe mine.yaml is not valid YAML: line 1, column 15: expected "),
        ("seed: 1\na: b: c", "The recipe mine.yaml is not valid YAML: line 2, column 5: mapping "),
        ("a\x00b", "The recipe mine.yaml is not valid YAML: unacceptable character #x0000"),
        ("1: 2\n" + SMALLEST, "mine.yaml: '1' is 1: Keys should be strings."),
    ],
    ids=["empty", "a list", "unfinished", "two colons", "binary", "a number as key"],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text, sentence):
    assert complaint(tmp_path, text=text).startswith(sentence)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"seed: 1 # caf\xe9")
    with pytest.raises(UsageError, match=r"latin\.yaml is not UTF-8 text"):
        read_recipe(tmp_path / "latin.yaml")
    with pytest.raises(UsageError, match=r"gone\.yaml cannot be read: No such file"):
        read_recipe(tmp_path / "gone.yaml")


def test_an_unknown_recipe_is_answered_with_the_shipped_ones():
    with pytest.raises(UsageError, match=r"no recipe scene/soft; did you mean 'scenes/soft'\?"):
        find_recipe("scene/soft")
    with pytest.raises(UsageError, match=r"no recipe x\.yaml; `cutline recipes` lists those"):
        find_recipe("x.yaml")


# --- searches


def test_a_search_is_changed_field_by_field():
    changed = change_search(SearchConfig(beam=3), {"length_penalty": 0.7})
    assert changed == SearchConfig(beam=3, length_penalty=0.7)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"beem": 3}, "A search has no 'beem'; did you mean 'beam'\\? Allowed: beam, length_"),
        ({"beam": 0}, "search: 'beam' is 0; give a number above 0"),
        ({"max_words": "ten"}, "search: 'max_words' is 'ten'; give a whole number"),
    ],
)
def test_a_search_that_cannot_be_is_refused(change, sentence):
    with pytest.raises(UsageError, match=sentence):
        change_search(SearchConfig(), change)


# --- names of older versions

HARD = "data: {path: scenes}\nencoder: {name: resnet18}\ndecoder: {name: hard, samples: 2}\n"
RENAMED = [
    ("encoder.from_epoch=3", "encoder.unfreeze_epoch", 3),
    ("training.average=0.9", "training.ema_decay", 0.9),
    ("encoder.batch_norm=kept", "encoder.batch_norm", "frozen"),
    ("decoder.credit=future", "decoder.credit", "reward_to_go"),
    ("decoder.baseline=others", "decoder.baseline", "leave_one_out"),
    ("training.self_critical.baseline=others", "training.self_critical.baseline", "leave_one_out"),
]


def field(recipe: Recipe, key: str) -> object:
    value: object = recipe
    for name in key.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(("old", "key", "value"), RENAMED)
def test_an_old_name_is_refused_with_the_new_one_to_type(tmp_path, old, key, value):
    said = complaint(tmp_path, "encoder.trainable=all", old, text=HARD)
    assert "is called" in said
    assert said.endswith(f"type {key}={value}.")
    typed = said.removesuffix(".").rpartition("type ")[2]
    assert field(read(tmp_path, "encoder.trainable=all", typed, text=HARD), key) == value


@pytest.mark.parametrize(("old", "key", "value"), RENAMED)
def test_a_saved_recipe_may_have_an_old_name(tmp_path, old, key, value):
    before, given = old.partition("=")[::2]
    tree: dict[str, Any] = yaml.safe_load(HARD)
    tree["encoder"]["trainable"] = "all"
    place = tree
    *sections, name = before.split(".")
    for part in sections:
        place = place.setdefault(part, {})
    place[name] = yaml.safe_load(given)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert field(read_recipe(path, saved=True), key) == value


def test_what_was_never_there_is_no_old_name_of_a_saved_recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(HARD + "training: {averaged: 0.9}\n")
    with pytest.raises(UsageError, match=r"unknown key 'training\.averaged'"):
        read_recipe(path, saved=True)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "{encoder: [from_epoch]}",
        "{decoder: {credit: [future]}}",
        "{encoder: null, training: [average]}",
        "{decoder: {name: 'mine.decoder:Mine', credit: future, baseline: others}}",
    ],
)
def test_what_has_no_old_name_is_left_as_it_is(content):
    tree = yaml.safe_load(content)
    translate(tree)
    assert tree == yaml.safe_load(content)


# --- sentences


FAULTS = [
    "decoder.name=hard decoder.baseline=leave_one_out",
    "decoder.name=nic decoder.layers=0",
    "decoder.name=nobody",
    "words.frozen=true",
    "words.pattern=''",
    "encoder.positions=true",
    "encoder.unfreeze_epoch=2",
    "encoder.grid=0",
    "encoder.grid=65",
    "encoder.grid=14.5",
    "encoder.grid=fourteen",
    "encoder.options={a: 1000000000}",
    "encoder.options={a: " + "b" * 5000 + "}",
    "encoder.name=" + "x" * 300,
    "encoder.trainable={last_stages: -1}",
    "data.limit=0",
    "data.limit=-3",
    "data.limit=half",
    "data.augment=3",
    "data.scenes.seed=-1",
    "training.validate_on=test",
    "training.self_critical={baseline: leave_one_out, samples: 1}",
    "training.ema_decay=1",
    "training.label_smoothing=x",
    "search.beam=101",
    "seed=-1",
    "colour=3",
    "search=[1]",
]


def test_every_fault_is_whole_sentences(tmp_path):
    for one, other in itertools.product(FAULTS, FAULTS):
        words = [w for line in (one, other) for w in re.split(r" (?=\w+\.\w+=)", line)]
        said = complaint(tmp_path, *words)
        assert not re.search(r"\.\.|[;,:]\.|\. \.|Value error|Assertion failed", said), said
        assert said.endswith("."), said


def test_a_fault_of_pydantics_is_a_part_of_a_sentence():
    for message in ("Value error, give two.", "give two", "Assertion failed, give two.."):
        assert fault_reason(message) == "give two"


# --- another decoder


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_any_recipe_becomes_one_of_any_decoder_and_says_what_is_left_out(path):
    before = read_recipe(path).decoder
    for name in ("adaptive", "dot", "hard", "nic", "rnn", "soft", "spatial"):
        said: list[str] = []
        recipe = read_recipe(path, [f"decoder.name={name}"], say=said.append)
        assert recipe.decoder.name == name
        own = yaml.safe_load(path.read_text())["decoder"]
        foreign = sorted(set(own) - set(type(recipe.decoder).model_fields))
        wanted = f"decoder.name={name}: left out of the recipe, as it has no {', '.join(foreign)}"
        assert said == ([wanted] if foreign else [])
        assert recipe.decoder.hidden == before.hidden


def test_a_field_that_is_typed_with_the_name_is_never_dropped(tmp_path):
    text = SMALLEST.replace("{name: soft}", "{name: soft, attention: 64, penalty: 0.5}")
    said = complaint(tmp_path, "decoder.name=nic", "decoder.attention=32", text=text)
    assert said.startswith("mine.yaml: unknown key 'decoder.attention'; ")
    recipe = read(tmp_path, "decoder.name=nic", "decoder.layers=2", text=text)
    assert recipe.decoder == NicConfig(layers=2)


def test_a_file_that_has_a_wrong_field_of_its_own_is_still_refused(tmp_path):
    text = SMALLEST.replace("{name: soft}", "{name: nic, attention: 64}")
    assert "unknown key 'decoder.attention'" in complaint(tmp_path, text=text)
    assert "unknown key 'decoder.attention'" in complaint(tmp_path, "decoder.name=nic", text=text)
