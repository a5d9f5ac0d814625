"""Figures of captions alone, worked out by hand."""

import pytest

from cutline.metrics import describe


def test_captions_are_compared_as_words():
    told = describe(["A dog.", "a dog", "A cat!"], training=["a Dog"])
    assert told.distinct_captions == pytest.approx(2 / 3)
    assert told.novel == pytest.approx(1 / 3)
    assert (told.captions, told.distinct_words, told.mean_length) == (3, 3, 2)


@pytest.mark.parametrize(
    "text", ["a dog on a", "a man with", "looking at the.", "a dog on a.", "a"]
)
def test_a_caption_that_stops_in_mid_phrase_ends_badly(text: str):
    assert describe([text]).bad_endings == 1


@pytest.mark.parametrize("text", ["a dog on grass", "", "it is on fire ."])
def test_a_whole_caption_does_not_end_badly(text: str):
    assert describe([text]).bad_endings == 0


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("a red red bus", 1),
        ("a dog and a cat and a dog", 1),
        ("a a a", 1),
        ("a dog and a cat", 0),
        ("", 0),
    ],
)
def test_a_word_twice_in_a_row_or_two_words_at_two_places_are_a_repeat(text: str, repeats: float):
    assert describe([text]).repeats == repeats


def test_nothing_is_said_of_novelty_without_training_captions():
    assert describe(["a dog"]).novel is None
    assert describe(["a dog"], training=[]).novel == 1


def test_no_captions_at_all_are_described():
    assert describe([]).to_dict()["mean_length"] == 0
