"""The embedding begins as vectors from a file: what is found, what is drawn, what is said."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cutline.config import read_recipe
from cutline.decoders import build_decoder, decoder_names
from cutline.errors import DataError, UsageError
from cutline.network import Model
from cutline.training import train
from cutline.training.embedding import embedding_of, load_vectors
from cutline.vocabulary import Vocabulary
from support.tiny import RECIPE, write_recipe

CAPTIONS = ["a dog and a dog", "a cat", "a cow runs"]
GLOVE = "a 0 10\ndog 1 20\ncat 2 30\ngiraffe 900 900\n"


def begin(folder: Path, text: str = GLOVE, *, seed: int = 0, size: int = 2):
    """Return a new embedding's numbers by word, and what was said."""
    path = folder / "glove.txt"
    path.write_text(text, encoding="utf-8")
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    embedding = nn.Embedding(len(vocabulary), size)
    said = load_vectors(
        embedding, vocabulary, CAPTIONS, path, seed=seed, progress=lambda *_: lambda _: None
    )
    words = vocabulary.words(range(len(vocabulary)))
    return dict(zip(words, embedding.weight.tolist(), strict=True)), said


def test_words_of_the_file_have_its_vectors(tmp_path):
    table, _ = begin(tmp_path)
    assert (table["a"], table["dog"], table["cat"]) == ([0, 10], [1, 20], [2, 30])


def test_other_words_are_drawn_as_the_found_ones_are_distributed(tmp_path):
    numbers = np.random.default_rng(5).normal([3, -40], [0.1, 7], (400, 2))
    captions = [f"w{n} x{n}" for n in range(400)]
    vocabulary = Vocabulary.build(captions, min_frequency=1)
    path = tmp_path / "glove.txt"
    path.write_text("".join(f"w{n} {a} {b}\n" for n, (a, b) in enumerate(numbers)))
    embedding = nn.Embedding(len(vocabulary), 2)
    load_vectors(embedding, vocabulary, captions, path, seed=1, progress=lambda *_: lambda _: None)
    words = vocabulary.words(range(len(vocabulary)))
    drawn = embedding.weight.detach().numpy()[[w.startswith("x") for w in words]]
    assert len(drawn) == 400
    assert drawn.mean(0) == pytest.approx(numbers.mean(0), abs=1.5)
    assert drawn.std(0) == pytest.approx(numbers.std(0), rel=0.15)


def test_what_is_drawn_is_decided_by_the_seed_alone(tmp_path):
    torch.manual_seed(1)
    first, _ = begin(tmp_path, seed=3)
    torch.manual_seed(2)
    again, _ = begin(tmp_path, seed=3)
    other, _ = begin(tmp_path, seed=4)
    assert first == again
    assert first["cow"] != other["cow"]
    assert first["dog"] == other["dog"]


def test_one_vector_has_no_spread(tmp_path):
    table, _ = begin(tmp_path, "dog 1 20\n")
    assert table["cow"] == table["<unk>"] == [1, 20]


def test_the_coverage_counts_words_and_running_words(tmp_path):
    _, said = begin(tmp_path)
    assert said == [
        "word vectors of glove.txt: 3 of 6 words (50.0%), 70.0% of the running words of the "
        "training captions; the others are drawn from their distribution"
    ]


def test_signs_that_are_no_words_are_not_counted(tmp_path):
    table, said = begin(tmp_path, "<unk> 7 7\n" + GLOVE)
    assert table["<unk>"] == [7, 7]
    assert "3 of 6 words (50.0%), 70.0%" in said[0]


def test_malformed_lines_are_counted_and_named(tmp_path):
    good = "".join(f"other{n} 1 2\n" for n in range(20))
    _, said = begin(tmp_path, GLOVE + "broken 1\n" * 7 + good)
    assert said[1] == (
        "left out of glove.txt: 7 lines without a word and 2 numbers: 5, 6, 7, 8, 9, ..."
    )
    _, said = begin(tmp_path, GLOVE + "broken\n")
    assert said[1] == "left out of glove.txt: 1 line without a word and 2 numbers: 5"


def test_vectors_of_another_size_are_an_error_that_names_both(tmp_path):
    with pytest.raises(UsageError) as caught:
        begin(tmp_path, size=5)
    assert str(caught.value).replace(str(tmp_path), "") == (
        "decoder.embedding is 5, but the vectors of /glove.txt have 2 numbers a word; give "
        "decoder.embedding=2, or vectors of 5 numbers."
    )


def test_a_file_without_any_of_the_words_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has none of the 6 words of the captions; give words\."):
        begin(tmp_path, "<unk> 1 2\nDog 1 2\n")


@pytest.mark.parametrize("name", decoder_names())
@pytest.mark.parametrize("head", [None, 6])
def test_every_decoder_has_an_embedding(name, head, tmp_path):
    path = write_recipe(tmp_path, RECIPE.replace("{name: soft, embedding: 16, hidden: 24, ", "{"))
    text = path.read_text().replace(
        "{attention: 12, dropout: 0.2, penalty: 0.5}", f"{{name: {name}, embedding: 8, hidden: 8}}"
    )
    path.write_text(text)
    config = read_recipe(path, [f"decoder.head={head}"] if head else []).decoder
    decoder = build_decoder(config, vocabulary_size=11, feature_size=5)
    assert embedding_of(decoder).weight.shape == (11, 8)


# --- in a run


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    """A vector for some words of the scenes."""
    path = tmp_path_factory.mktemp("words") / "glove.16d.txt"
    rows = np.random.default_rng(0).normal(size=(6, 16)).tolist()
    words = ("a", "red", "circle", "blue", "square", "large")
    lines = [" ".join(map(str, [word, *row])) for word, row in zip(words, rows, strict=True)]
    path.write_text("\n".join(lines))
    return path


def trained(folder: Path, vectors: Path, *words: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The vector of `red` before and after training, and what was said."""
    said: list[str] = []
    recipe = read_recipe(write_recipe(folder), [f"words.vectors={vectors}", *words])
    model = Model.read(train(recipe, folder / "out", say=said.append).folder)
    lines = [line.split() for line in vectors.read_text().splitlines()]
    before = next(np.array(line[1:], dtype=np.float32) for line in lines if line[0] == "red")
    number = model.vocabulary.tokenizer.token_to_id("red")
    after = embedding_of(model.network.decoder).weight[number].detach().numpy()
    return before, after, said


def test_a_run_begins_with_the_vectors_and_changes_them(vectors, tmp_path):
    before, after, said = trained(tmp_path, vectors, "training.weight_decay=0")
    assert any(line.startswith("word vectors of glove.16d.txt: 6 of ") for line in said)
    assert not np.array_equal(before, after)
    assert np.corrcoef(before, after)[0, 1] > 0.9


def test_a_frozen_embedding_neither_learns_nor_decays(vectors, tmp_path):
    words = ("words.frozen=true", "training.weight_decay=0.5")
    before, after, _ = trained(tmp_path, vectors, *words)
    assert np.array_equal(before, after)


def test_a_run_that_could_not_begin_leaves_the_folder_free(vectors, tmp_path):
    recipe = write_recipe(tmp_path)
    wrong = read_recipe(recipe, [f"words.vectors={vectors}", "decoder.embedding=9"])
    with pytest.raises(UsageError, match=r"decoder\.embedding is 9, but the vectors .* have 16"):
        train(wrong, tmp_path / "out", say=lambda _: None)
    right = read_recipe(recipe, [f"words.vectors={vectors}", "training.epochs=1"])
    assert len(train(right, tmp_path / "out", say=lambda _: None).history) == 1
