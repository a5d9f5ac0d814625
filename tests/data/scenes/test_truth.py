import re
from itertools import pairwise

import pytest

from cutline.data.scenes import Scene, captions, grounding, is_true, read
from cutline.data.scenes.words import COLOURS, DIRECTIONS, PLACES, PLURALS, SHAPES, SIZES
from support.scene_oracle import judge, scene_of, thing

SCENES = [Scene.from_seed(seed) for seed in range(2500)]

# A red star left of a blue star, both above a large red circle in the middle of the bottom.
TRIO = scene_of(
    thing("small red star", 0.2, 0.2),
    thing("small blue star", 0.8, 0.2),
    thing("large red circle", 0.5, 0.8),
)
PAIR = scene_of(thing("large red circle", 0.3, 0.5), thing("small red circle", 0.7, 0.5))


def swaps(caption):
    """Replace one content word, or one relation or place, by each other of its category."""
    words = caption.split()
    for index, word in enumerate(words):
        for category in (COLOURS, SIZES, SHAPES, [PLURALS[shape] for shape in SHAPES]):
            if word in category:
                for other in category:
                    if other != word:
                        swapped = " ".join([*words[:index], other, *words[index + 1 :]])
                        swapped = re.sub(r"\ba orange\b", "an orange", swapped)
                        yield re.sub(r"\ban (?!orange)", "a ", swapped)
    for category in ([form for forms in DIRECTIONS.values() for form in forms], PLACES.values()):
        for form in category:
            if f" {form}" in caption and f"the {form}" not in caption.removesuffix(form):
                yield from (caption.replace(form, other) for other in category if other != form)
    for one, other in (("two ", "three "), ("three ", "two "), ("both ", "all three ")):
        if one in caption and "all three" not in caption:
            yield caption.replace(one, other)


def ground(caption, scene):
    return grounding(caption.split(), scene)


def test_every_caption_is_readable_and_true():
    wrong = [
        (scene.seed, caption)
        for scene in SCENES
        for caption in captions(scene)
        if not (read(caption).readable and is_true(caption, scene))
    ]
    assert wrong == []


def test_the_judge_by_brute_force_agrees_that_every_caption_is_true():
    wrong = [
        (scene.seed, caption)
        for scene in SCENES
        for caption in captions(scene)
        if judge(caption, scene) is not True
    ]
    assert wrong == []


def test_after_a_swap_of_one_word_truth_is_what_brute_force_says():
    judged = false = 0
    for scene in SCENES[:400]:
        for caption in captions(scene):
            for swapped in swaps(caption):
                expected = judge(swapped, scene)
                assert expected is not None, swapped
                assert is_true(swapped, scene) == expected, (scene.seed, caption, swapped)
                judged += 1
                false += not expected
    assert judged > 20_000
    assert false > 0.9 * judged


def test_captions_of_another_scene_are_what_brute_force_says():
    for scene, other in pairwise(SCENES):
        for caption in captions(other):
            assert is_true(caption, scene) == judge(caption, scene), (scene.seed, caption)


@pytest.mark.parametrize(
    "caption",
    [
        "a red star",
        "a red circle and a red star",
        "the red star is left of the blue star",
        "a star above a circle",
        "two stars above a red circle",
        "two stars and a circle",
        "there are two red shapes in the picture",
        "three shapes and one is a circle",
        "both stars are small",
        "the circle is red",
        "the circle is near the bottom edge",
        "the blue star sits in the top right corner",
        "only two stars and a circle",
        "a star with a circle and a star",
        "one large shape",
    ],
)
def test_true_sentences_about_two_stars_above_a_circle(caption):
    assert is_true(caption, TRIO)


@pytest.mark.parametrize(
    "caption",
    [
        "a green star",
        "a large star",
        "the star is small",
        "two red stars",
        "one star",
        "three stars",
        "two shapes",
        "a circle and a circle",
        "a red circle and a shape and a large shape",
        "the blue star is left of the red star",
        "a star below a circle",
        "two stars below a red circle",
        "two stars near the left edge",
        "the circle is in the middle",
        "both stars are red",
        "all three shapes are red",
        "three shapes and one is a star",
        "only a red circle",
        "there is only a circle and a red star",
    ],
)
def test_false_sentences_about_two_stars_above_a_circle(caption):
    assert read(caption).readable
    assert not is_true(caption, TRIO)


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "circle",
        "a",
        "a red",
        "a red red circle",
        "a red large circle",
        "a circles",
        "two circle",
        "an red circle",
        "a orange circle",
        "a circle left of",
        "left left",
        "a circle is",
        "a red circle a red circle",
        "a red circle and",
        "there is two red circles",
        "there are a red circle",
        "there is both circles",
        "both circles",
        "a red circle and both circles",
        "two circles is red",
        "two circles and one is the large circle",
        "a circle and a circle above a circle",
        "a red circle in the",
        "a red circle near the middle",
        "a red circle in the left edge",
        "a red circle in the picture in the picture",
        "a circle and a circle and a circle and a circle",
        "only only a red circle",
        "a red circle <unk>",
        "A red circle",
        "the red circle is right right of the circle",
        "circle the a red above blue",
    ],
)
def test_what_is_no_sentence_is_not_true(caption):
    assert not read(caption).readable
    assert not is_true(caption, PAIR)


def test_a_relation_holds_in_a_wider_region_than_the_writer_states():
    near = scene_of(thing("small red star", 0.4, 0.5), thing("small blue star", 0.55, 0.5))
    assert is_true("a red star left of a blue star", near)
    assert not any("left" in caption or "right" in caption for caption in captions(near))
    beside = scene_of(thing("small red star", 0.4, 0.5), thing("small blue star", 0.45, 0.5))
    assert not is_true("a red star left of a blue star", beside)


def test_words_denote_what_makes_the_sentence_true():
    assert ground("a red circle right of a circle", PAIR) == {2: (1,), 6: (0,)}


def test_a_noun_denotes_all_that_fit_where_nothing_singles_one_out():
    assert ground("a red circle", PAIR) == {2: (0, 1)}
    assert ground("two circles", PAIR) == {1: (0, 1)}


def test_in_a_false_sentence_a_noun_denotes_what_fits_its_own_phrase():
    assert ground("a large circle above a star", PAIR) == {2: (0,), 5: ()}
    assert ground("two large circles", PAIR) == {2: (0,)}


def test_in_an_unreadable_caption_a_noun_denotes_what_fits_the_words_before_it():
    assert ground("a a small red circle large circles star left", PAIR) == {4: (1,), 6: (0,), 7: ()}


def test_the_general_word_shape_is_no_object_word():
    assert ground("two shapes and one is a large circle", PAIR) == {7: (0,)}
    assert ground("", PAIR) == {}


def test_every_object_word_of_the_writer_denotes_something_that_it_describes():
    nouns = {noun: shape for shape in SHAPES for noun in (shape, PLURALS[shape])}
    for scene in SCENES[:500]:
        for caption in captions(scene):
            words = caption.split()
            denoted = grounding(words, scene)
            assert set(denoted) == {i for i, word in enumerate(words) if word in nouns}
            for index, things in denoted.items():
                assert things
                assert {scene.things[i].shape for i in things} == {nouns[words[index]]}
