"""Greedy search and sampling: loops and known probabilities, then what may go wrong."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.decoders import TORCH
from cutline.errors import UsageError
from cutline.search import NUMPY, Hypothesis, forced_log_probs, greedy, sample
from cutline.vocabulary import Vocabulary
from support.spelling import (
    END,
    NUMBERS_OF_BANNED,
    ROOM,
    START,
    WORDS,
    Script,
    Speller,
    TorchSpeller,
    lexicon,
    log_softmax,
    noise,
    number,
    spell,
    spelled,
    word_log_probs,
)

SEEDS = st.integers(0, 10_000)


def follow(script: Script, images: int = 1, max_words: int = 6) -> list[Hypothesis]:
    step = Speller(script)
    return greedy(step, step.start(images), images=images, words=WORDS, max_words=max_words)


def draw(script: Script, images: int = 1, **options) -> list[list[str]]:
    step = Speller(script)
    options = {"max_words": 6, **options}
    found = sample(step, step.start(images), images=images, words=WORDS, **options)
    return [[spelled(hypothesis) for hypothesis in hypotheses] for hypotheses in found]


# --- greedy


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_greedy_takes_the_best_word_each_time(seed):
    script = noise(seed)
    for image, hypothesis in enumerate(follow(script, images=3)):
        word = ""
        while not word.endswith(".") and len(word) < 6:
            scores = log_softmax(script(image, word))
            word += max("abc.", key=lambda letter: scores[number(letter)])
        assert spelled(hypothesis) == word
        assert hypothesis.log_prob == pytest.approx(sum(word_log_probs(script, image, word)))
        assert hypothesis.score == hypothesis.log_prob


def test_captions_of_different_lengths_end_where_they_end():
    found = follow(lexicon({"a": 1.0}, {"abcde": 1.0}, {"": 1.0}))[:1]
    assert [spelled(h) for h in found] == ["a."]
    found = follow(lexicon({"a": 1.0}, {"abcde": 1.0}, {"": 1.0}), images=3)
    assert [spelled(h) for h in found] == ["a.", "abcde.", "."]
    assert [h.attention.shape for h in found] == [(1, ROOM), (5, ROOM), (0, ROOM)]
    assert [len(h.log_probs) for h in found] == [1, 5, 0]


def test_greedy_stops_at_the_limit_with_what_it_has():
    [h] = follow(lexicon({"abcde": 1.0}), max_words=3)
    assert spelled(h) == "abc"
    assert not h.finished


def test_greedy_takes_no_step_more_than_it_needs():
    step = Speller(lexicon({"ab": 1.0}, {"a": 1.0}))
    greedy(step, step.start(2), images=2, words=WORDS, max_words=8)
    assert step.calls == [2, 2, 1]  # the second image was let go of


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_attention_follows_the_words(seed):
    for h in follow(noise(seed), images=2):
        looks = [spell(row[row > 0].astype(int)) for row in h.attention]
        assert looks == ["_" + spell(h.words)[:t] for t in range(len(h.words))]
        assert h.sentinel.tolist() == [START, *h.words][: len(h.words)]


# --- sampling: how often is what comes out

LETTERS = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}


def assert_frequencies(captions: list[str], expected: dict[str, float]) -> None:
    """Within 4.5 standard deviations: a true sampler fails once in a hundred thousand words."""
    counts, total = Counter(captions), len(captions)
    assert counts.keys() <= expected.keys()
    for caption, share in expected.items():
        deviation = math.sqrt(total * share * (1 - share))
        assert abs(counts[caption] - total * share) <= 4.5 * deviation, (caption, counts)


def test_captions_come_as_often_as_they_are_probable():
    words = {"ab": 0.4, "abc": 0.1, "b": 0.3, "": 0.2}
    [captions] = draw(lexicon(words), samples=3000)
    assert_frequencies(captions, {f"{word}.": share for word, share in words.items()})


def test_each_image_is_sampled_from_its_own_distribution():
    ours, theirs = draw(lexicon({"a": 0.7, "b": 0.3}, {"a": 0.2, "cd": 0.8}), 2, samples=2000)
    assert_frequencies(ours, {"a.": 0.7, "b.": 0.3})
    assert_frequencies(theirs, {"a.": 0.2, "cd.": 0.8})


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_raises_probabilities_to_its_inverse(temperature):
    [captions] = draw(lexicon(LETTERS), samples=3000, temperature=temperature)
    raised = {f"{word}.": share ** (1 / temperature) for word, share in LETTERS.items()}
    total = sum(raised.values())
    # at a temperature of 2 the impossible is not quite impossible
    assert_frequencies(
        [c for c in captions if c in raised], {word: p / total for word, p in raised.items()}
    )


def test_top_k_keeps_the_k_best():
    [captions] = draw(lexicon(LETTERS), samples=3000, top_k=2)
    assert_frequencies(captions, {"a.": 0.625, "b.": 0.375})


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.4, "a"), (0.51, "ab"), (0.79, "ab"), (0.9, "abc"), (1.0, "abcd")]
)
def test_top_p_keeps_the_fewest_that_hold_the_share(top_p, kept):
    [captions] = draw(lexicon(LETTERS), samples=2000, top_p=top_p)
    total = sum(LETTERS[letter] for letter in kept)
    assert_frequencies(captions, {f"{letter}.": LETTERS[letter] / total for letter in kept})


def test_the_log_probs_of_a_sample_are_the_models_own():
    script = noise(3)
    step = Speller(script)
    [hypotheses] = sample(
        step,
        step.start(1),
        images=1,
        words=WORDS,
        max_words=6,
        samples=20,
        temperature=3.0,
        top_k=3,
        top_p=0.95,
    )
    for h in hypotheses:
        own = word_log_probs(script, 0, spelled(h))
        assert h.log_probs == pytest.approx(own[: len(h.words)])
        assert h.log_prob == pytest.approx(sum(own))


# --- sampling: its limits


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    options=st.sampled_from(
        [{"temperature": 1e-4}, {"temperature": 1e-310}, {"top_k": 1}, {"top_p": 1e-9}]
    ),
)
def test_the_safest_sampling_is_greedy(seed, options):
    expected = [spelled(h) for h in follow(noise(seed), images=2)]
    assert draw(noise(seed), images=2, samples=2, **options) == [[word] * 2 for word in expected]


def test_the_seed_decides_what_is_drawn():
    def once(seed: int) -> list[list[str]]:
        return draw(noise(1), images=2, samples=8, seed=seed)

    assert once(7) == once(7)
    assert once(7) != once(8)


def test_samples_of_one_image_differ_and_are_as_many_as_asked_for():
    found = draw(noise(1), images=3, samples=10)
    assert [len(captions) for captions in found] == [10, 10, 10]
    assert all(len(set(captions)) > 1 for captions in found)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_sampling_never_draws_a_banned_word(seed):
    step = Speller(noise(seed))
    found = sample(
        step, step.start(2), images=2, words=WORDS, max_words=5, samples=4, temperature=5.0
    )
    for h in (h for hypotheses in found for h in hypotheses):
        assert not {*NUMBERS_OF_BANNED, END} & set(h.words)
        assert math.isfinite(h.log_prob)


def test_a_sample_cut_at_the_limit_is_unfinished():
    step = Speller(lexicon({"abcde": 1.0}))
    [[h]] = sample(step, step.start(1), images=1, words=WORDS, max_words=2)
    assert (spelled(h), h.finished) == ("ab", False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; .*above 0"),
        ({"temperature": -1.0}, "temperature is -1.0; .*above 0"),
        ({"top_k": 0}, "top_k is 0; .*1 or more"),
        ({"top_p": 0.0}, "top_p is 0.0; .*above 0"),
        ({"top_p": 1.5}, "top_p is 1.5; .*at most 1"),
    ],
)
def test_sampling_that_leaves_nothing_to_draw_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        draw(noise(1), **options)


# --- backends


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_numpy_and_torch_find_the_same(seed):
    script = noise(seed)
    step, other = Speller(script), TorchSpeller(script)
    options = {"images": 2, "words": WORDS, "max_words": 6}
    ours = greedy(step, step.start(2), **options)
    theirs = greedy(other, other.start(2), arrays=TORCH, **options)
    drawn = sample(step, step.start(2), samples=3, seed=seed, **options)
    by_torch = sample(other, other.start(2), samples=3, seed=seed, arrays=TORCH, **options)
    ours += [h for hypotheses in drawn for h in hypotheses]
    theirs += [h for hypotheses in by_torch for h in hypotheses]
    for h, same in zip(ours, theirs, strict=True):
        assert spelled(h) == spelled(same)
        assert h.log_probs == pytest.approx(same.log_probs, abs=1e-5)
        assert (h.attention == same.attention).all()
        assert (h.sentinel == same.sentinel).all()


def test_the_words_treated_apart_are_those_of_the_vocabulary():
    words = type(WORDS).of(Vocabulary.build(["a dog"], min_frequency=1))
    assert (words.start, words.end) == (WORDS.start, WORDS.end)
    assert set(words.banned.tolist()) == NUMBERS_OF_BANNED


@pytest.mark.parametrize("module", ["search", "config", "vocabulary", "preprocessing", "metrics"])
def test_no_deep_learning_stack_is_imported(module):
    program = (
        f"import sys, cutline.{module}; print({{'torch', 'timm', 'lightning'}} & {{*sys.modules}})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"


# --- given captions


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([Speller, TorchSpeller]))
def test_a_given_caption_has_the_log_probs_that_it_was_found_with(seed, speller):
    step = speller(noise(seed))
    arrays = TORCH if speller is TorchSpeller else NUMPY
    found = greedy(step, step.start(3), images=3, words=WORDS, max_words=5, arrays=arrays)
    longest = max(len(one.words) for one in found)
    captions = np.array([[*one.words, *[END] * (longest - len(one.words))] for one in found])
    log_probs = forced_log_probs(step, step.start(3), captions, words=WORDS, arrays=arrays)
    assert log_probs.shape == (3, longest)
    for one, of in zip(found, log_probs, strict=True):
        np.testing.assert_allclose(of[: len(one.words)], one.log_probs, rtol=1e-6)


def test_a_banned_word_in_a_given_caption_is_impossible():
    step = Speller(noise(1))
    captions = np.array([[number("a"), min(NUMBERS_OF_BANNED)]])
    log_probs = forced_log_probs(step, step.start(1), captions, words=WORDS)
    assert np.isfinite(log_probs[0, 0])
    assert log_probs[0, 1] == -np.inf
