"""An ensemble: of one captioner with itself it says the same; all must have the same words."""

import pytest

import cutline
from cutline.data.readers import open_dataset
from cutline.errors import UsageError
from cutline.vocabulary import Vocabulary


@pytest.fixture
def ensemble(tool):
    return tool("experiments.flickr8k.ensemble")


@pytest.fixture
def pictures():
    return [e.picture for e in open_dataset("scenes", train=1, val=3, test=1).split("val")]


def test_twice_the_same_says_the_same(ensemble, pictures):
    one = cutline.load()
    alone = [caption.text for caption in one.caption([p.open() for p in pictures])]
    assert ensemble.captions([one, one], pictures) == alone


def test_other_words_are_refused(ensemble, pictures):
    one, other = cutline.load(), cutline.load()
    other.vocabulary = Vocabulary.build(["a dog"], min_frequency=1)
    with pytest.raises(UsageError, match="different words"):
        ensemble.captions([one, other], pictures)
