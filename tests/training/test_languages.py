"""A language without spaces between words: noticed at the start, trained, captioned, scored."""

import json

import pytest

import cutline
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import UsageError
from cutline.evaluation import evaluate
from cutline.training import train
from support.tiny import COLOURS, write_photographs, write_recipe

CHINESE = dict(zip(COLOURS, ("红", "蓝", "绿", "白"), strict=True))


@pytest.fixture
def data(tmp_path):
    folder = write_photographs(tmp_path / "data")
    file = folder / "dataset_squares.json"
    content = json.loads(file.read_text())
    for row in content["images"]:
        colour = row["sentences"][1]["raw"].split()[-1]
        text = f"一个{CHINESE[colour]}色的方块iPhone 12。"
        row["sentences"] = [{"raw": text}, {"raw": text[2:]}]
    file.write_text(json.dumps(content))
    return folder


def run(folder, data, *words):
    said: list[str] = []
    changes = [f"data.path={data}", f"data.cache={folder / 'cache'}", "training.threads=1"]
    changes += ["encoder.trainable=none", "training.batch_size=4", *words]
    recipe = read_recipe(write_recipe(folder), changes)
    return train(recipe, folder / "out", say=said.append), said


def test_words_between_spaces_are_advised_against_at_the_start(data, tmp_path):
    _, said = run(tmp_path, data, "training.epochs=1")
    assert any("note: " in line and "words.tokenizer=characters" in line for line in said)


def test_characters_are_learned_joined_and_scored(data, tmp_path):
    words = ("words.tokenizer=characters", "training.epochs=12", "training.learning_rate=0.02")
    result, said = run(tmp_path, data, *words, "decoder.penalty=0")
    assert not any("words.tokenizer" in line for line in said)
    captioner = cutline.load(tmp_path / "out" / "last")
    examples = open_dataset(str(data)).split("val")
    text = captioner.caption([e.picture.path for e in examples])[0].text
    assert "色的方块iphone 12" in text
    assert result.history[-1]["val/cider_greedy"] > 0
    scores = evaluate(captioner, examples, split="val").scores
    assert scores.corpus["BLEU-4"] > 0
    assert "words:characters" in scores.signature


def test_a_model_with_other_words_is_not_begun_with(data, tmp_path):
    run(tmp_path, data, "training.epochs=1")
    (tmp_path / "more").mkdir()
    begun = f"training.start_from={tmp_path / 'out' / 'best'}"
    with pytest.raises(UsageError, match=r"joined with spaces, the recipe says words\.tokenizer"):
        run(tmp_path / "more", data, "words.tokenizer=characters", begun)
