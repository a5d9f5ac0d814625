from collections import Counter

import pytest

from cutline.data.scenes import Scene, captions
from cutline.errors import UsageError
from support.scene_oracle import scene_of, thing

SCENES = [Scene.from_seed(seed) for seed in range(1500)]
CAPTIONS = [captions(scene) for scene in SCENES]


def test_each_scene_has_five_different_captions():
    assert {len(set(five)) for five in CAPTIONS} == {5}


def test_the_language_is_varied_but_small():
    words = Counter(word for five in CAPTIONS for caption in five for word in caption.split())
    assert 40 <= len(words) <= 70
    assert min(words.values()) >= 5, "a word so rare is dropped from the vocabulary"


def test_captions_are_short():
    lengths = [len(caption.split()) for five in CAPTIONS for caption in five]
    assert 2 <= min(lengths) <= max(lengths) <= 18
    assert 6 <= sum(lengths) / len(lengths) <= 10


def test_captions_are_lower_case_words_with_single_spaces():
    for five in CAPTIONS:
        for caption in five:
            assert caption == " ".join(caption.lower().split())
            assert caption.replace(" ", "").isalpha()


def test_fewer_captions_are_the_beginning_of_more():
    for scene in SCENES[:50]:
        assert captions(scene, 8)[:3] == captions(scene, 3)
    assert captions(SCENES[0], 0) == ()


def test_captions_depend_on_the_things_and_the_seed_alone():
    assert captions(Scene.from_seed(5)) == captions(SCENES[5])


def test_everything_is_said_of_the_right_thing():
    scene = scene_of(thing("small orange cross", 0.15, 0.15), thing("large black heart", 0.8, 0.5))
    said = set(captions(scene, 40))
    assert "the orange cross is in the top left corner" in said
    assert any("cross left of a" in caption for caption in said)
    assert not any("red" in caption.split() or "two crosses" in caption for caption in said)
    assert not any("a orange" in caption for caption in said)


def test_the_middle_of_nowhere_is_not_placed():
    scene = scene_of(thing("small red star", 0.3, 0.4))
    assert not any("near" in caption or "corner" in caption for caption in captions(scene, 12))


def test_more_captions_than_there_are_is_refused():
    with pytest.raises(UsageError, match="scene 0 has fewer than 1000 captions"):
        captions(SCENES[0], 1000)


def test_a_scene_of_nothing_or_of_too_much_has_no_captions():
    with pytest.raises(UsageError, match="one to three things, not 0"):
        captions(scene_of())
    with pytest.raises(UsageError, match="one to three things, not 4"):
        captions(scene_of(*[thing("small red star", 0.5, 0.5)] * 4))


def test_no_sentence_fits_all_scenes_too_often():
    sentences = Counter(caption for five in CAPTIONS for caption in five)
    [(_, often)] = sentences.most_common(1)
    assert often < 0.03 * sentences.total()
