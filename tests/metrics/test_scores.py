"""Scores against the reference COCO evaluation, then the degenerate cases by name."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cutline.errors import DataError, UsageError
from cutline.metrics import Scores, compare, score
from cutline.metrics.measures import METRICS, Metric

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference_scores"
THEIR_NAMES = {f"BLEU-{n}": f"Bleu_{n}" for n in (1, 2, 3, 4)} | {
    "ROUGE-L": "ROUGE_L",
    "CIDEr": "CIDEr",
}
CAPTIONS = {1: "A red bus on the street.", 2: "two dogs run", 3: ""}
TRUTHS = {1: ["a red bus", "a bus in a street"], 2: ["Two dogs run!"], 3: ["a cat", ""]}


@cache
def scored(folder: Path, name: str) -> Scores:
    inputs = json.loads((folder / f"{name}.json").read_text("utf-8"))
    candidates = {image: row["hyp"] for image, row in inputs.items()}
    return score(candidates, {image: row["refs"] for image, row in inputs.items()})


def check_equal_to_reference(folder: Path, name: str) -> None:
    made = scored(folder, name)
    expected = json.loads((folder / f"{name}.expected.json").read_text("utf-8"))
    totals = json.loads(json.dumps(made.to_dict()))["bleu_totals"]
    assert totals == expected["scores"]["bleu_totals"]
    for ours, theirs in THEIR_NAMES.items():
        assert made.corpus[ours] == pytest.approx(expected["scores"][theirs], abs=1e-9)
        per_image = [made.per_image[image][ours] for image in expected["keys"]]
        assert per_image == pytest.approx(expected["per_image"][theirs], abs=1e-9)


def test_self_written_captions_score_as_in_the_reference():
    check_equal_to_reference(FIXTURES, "synthetic")


@pytest.mark.parametrize(
    "name", ["fakecap251", "flickr30k_test__A", "coco_test__A", "coco_test__B"]
)
def test_real_captions_score_as_in_the_reference(shared: Path, name: str):
    check_equal_to_reference(shared / "reference-scores" / "third_party", name)


def test_published_scores_are_met(shared: Path):
    folder = shared / "reference-scores" / "third_party"
    published = json.loads((folder / "third_party_published.json").read_text("utf-8"))
    for name, figures in published.items():
        made = scored(folder, name)
        rounded = {ours: figures["rounded"][theirs] for ours, theirs in THEIR_NAMES.items()}
        assert {key: round(value, 3) for key, value in made.corpus.items()} == rounded


def test_an_image_whose_caption_is_empty_is_scored_not_left_out():
    made = score(CAPTIONS, TRUTHS)
    assert list(made.per_image) == [1, 2, 3]
    assert made.per_image[3]["BLEU-1"] == made.per_image[3]["CIDEr"] == 0


def test_two_empty_captions_agree_for_rouge_as_in_the_reference():
    assert score({1: "."}, {1: ["a cat", ""]}).per_image[1]["ROUGE-L"] == 1


def test_identical_captions_score_ten_and_one():
    texts = {1: "a red bus is here", 2: "two brown dogs run fast", 3: "one cat sleeps all day"}
    made = score(texts, {image: [text] for image, text in texts.items()})
    for row in made.per_image.values():
        assert row["CIDEr"] == pytest.approx(10)
        assert row["BLEU-4"] == pytest.approx(1)
        assert row["ROUGE-L"] == pytest.approx(1)


def test_a_single_image_has_no_surprising_words_so_cider_is_zero():
    made = score({1: "a red bus on a street"}, {1: ["a red bus on a street"]})
    assert made.corpus["CIDEr"] == 0
    assert made.corpus["BLEU-4"] == pytest.approx(1)


def test_the_order_of_images_does_not_matter():
    backwards = score(dict(reversed(CAPTIONS.items())), dict(reversed(TRUTHS.items())))
    assert backwards == score(CAPTIONS, TRUTHS)


def test_unknown_words_never_match_unknown_words():
    known = score({1: "a xyz runs", 2: "a cat"}, {1: ["a <unk> runs"], 2: ["a cat"]})
    unknown = score({1: "a <unk> runs", 2: "a cat"}, {1: ["a <unk> runs"], 2: ["a cat"]})
    assert unknown.corpus == known.corpus
    assert unknown.bleu_totals is not None
    assert unknown.bleu_totals.correct == (4, 1, 0, 0)


def test_a_line_separator_in_a_caption_does_not_shift_the_others():
    broken = {1: "A red\u2028bus on\nthe street.", 2: "two\rdogs run", 3: "\n"}
    assert score(broken, TRUTHS) == score(CAPTIONS, TRUTHS)


def test_a_token_with_a_space_inside_is_two_words_for_bleu_and_one_for_rouge():
    made = score({1: "1 1/2 cups"}, {1: ["1 1/2 spoons"]})
    assert made.bleu_totals is not None
    assert made.bleu_totals.guess == (3, 2, 1, 0)
    assert made.corpus["ROUGE-L"] == pytest.approx(0.5)


def test_only_what_was_asked_for_is_there():
    made = score(CAPTIONS, TRUTHS, metrics=["CIDEr"])
    assert list(made.corpus) == list(made.per_image[1]) == ["CIDEr"]
    assert made.bleu_totals is None


@pytest.fixture
def without_java(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("JAVA_HOME", "CUTLINE_SPICE"):
        monkeypatch.delenv(name, raising=False)


def test_what_cannot_be_computed_is_skipped_with_a_reason_and_no_figure(without_java):
    made = score(CAPTIONS, TRUTHS, metrics=["METEOR", "BLEU", "SPICE"])
    assert list(made.skipped) == ["METEOR", "SPICE"]
    assert all("needs" in reason for reason in made.skipped.values())
    assert list(made.corpus) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]
    assert made.signature.startswith("BLEU|")


def test_nothing_but_skipped_metrics_gives_no_figure(without_java):
    made = score(CAPTIONS, TRUTHS, metrics=["SPICE"])
    assert made.corpus == {}
    assert made.per_image == {1: {}, 2: {}, 3: {}}


def test_the_signature_says_how_the_figures_were_made():
    made = score(CAPTIONS, TRUTHS, details={"split": "test", "search": "beam-3"})
    assert made.signature == (
        "BLEU+ROUGE-L+CIDEr|images:3|refs:1-2|tok:ptb-3.4.1|version:cutline.metrics-1"
        "|split:test|search:beam-3"
    )


def test_a_detail_cannot_contradict_the_signature():
    with pytest.raises(UsageError, match="the signature already says 'tok'"):
        score(CAPTIONS, TRUTHS, details={"tok": "mine"})


def test_an_unknown_metric_is_answered_with_the_list():
    with pytest.raises(
        UsageError, match=r"no metric 'CIDRE'; .*Allowed: BLEU, CIDEr, METEOR, ROUGE-L"
    ):
        score(CAPTIONS, TRUTHS, metrics=["CIDRE"])


def test_a_near_miss_is_answered_with_the_right_name():
    with pytest.raises(UsageError, match="did you mean 'ROUGE-L'"):
        score(CAPTIONS, TRUTHS, metrics=["ROUGE-S"])


def test_missing_captions_are_named_and_counted():
    truths = {image: ["a dog"] for image in range(10)}
    with pytest.raises(
        DataError, match=r"9 of 10 images with references but no caption: 0, 2, 3, 4, 5, \.\.\."
    ):
        score({1: "a dog"}, truths)


def test_captions_of_images_without_references_are_named_and_counted():
    message = r"1 of 2 images with a caption but no references: 'x'"
    with pytest.raises(DataError, match=message):
        score({"a": "a", "b": "b", "x": "c"}, {"a": ["a"], "b": ["b"]})


def test_an_image_with_an_empty_list_of_references_is_refused():
    with pytest.raises(DataError, match="with a caption but no references: 2"):
        score({1: "a", 2: "b"}, {1: ["a"], 2: []})


def test_no_images_at_all_are_refused():
    with pytest.raises(DataError, match="no images to score"):
        score({}, {})


def test_scores_survive_json():
    made: dict[str, Any] = score({"1": "a cat"}, {"1": ["a cat"]}).to_dict()
    assert json.loads(json.dumps(made))["corpus"] == made["corpus"]


def test_scores_are_frozen():
    made: Scores = score(CAPTIONS, TRUTHS)
    with pytest.raises(AttributeError):
        made.signature = "mine"  # type: ignore[misc]


def test_a_metric_that_fails_on_these_captions_is_skipped_with_its_reason(monkeypatch):
    def fail(captions):
        raise DataError("METEOR ran out of memory on image number 1")

    monkeypatch.setitem(METRICS, "METEOR", Metric(fail))
    made = score(CAPTIONS, TRUTHS, metrics=["METEOR", "CIDEr"])
    assert made.skipped == {"METEOR": "METEOR ran out of memory on image number 1"}
    assert list(made.corpus) == ["CIDEr"]
    both = compare(CAPTIONS, CAPTIONS, TRUTHS, metrics=["METEOR", "CIDEr"], samples=10)
    assert list(both.differences) == ["CIDEr"]
    assert both.second.skipped == made.skipped


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("bleu", ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]),
        ("Bleu-4", ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]),
        ("BLEU_1", ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]),
        ("cider", ["CIDEr"]),
        ("CIDER", ["CIDEr"]),
        ("rouge", ["ROUGE-L"]),
        ("rougeL", ["ROUGE-L"]),
        ("Rouge l", ["ROUGE-L"]),
    ],
)
def test_a_metric_is_known_however_its_name_is_written(given, names):
    made = score({"a": "a red kite flies"}, {"a": ["a red kite"]}, metrics=[given, given])
    assert list(made.corpus) == names
    assert made.signature.count(names[0].removesuffix("-1")) == 1


@pytest.mark.parametrize("given", ["blue", "bleu-5", "bleu-0", "", "cid er2"])
def test_a_metric_that_there_is_not_is_refused(given):
    with pytest.raises(UsageError, match=r"there is no metric '.*Allowed: BLEU, CIDEr"):
        score({"a": "a kite"}, {"a": ["a kite"]}, metrics=[given])
