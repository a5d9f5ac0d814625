"""Beam search: every caption there is as the oracle, a beam by hand, then what may go wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.decoders import TORCH
from cutline.search import Hypothesis, Scored, beam, greedy
from support.spelling import (
    END,
    NUMBERS_OF_BANNED,
    ROOM,
    START,
    WORDS,
    Script,
    Speller,
    TorchSpeller,
    beam_by_hand,
    everything,
    lexicon,
    noise,
    spell,
    spelled,
    word_log_probs,
)

SEEDS = st.integers(0, 10_000)
PENALTIES = st.sampled_from([0.0, 0.5, 1.0, 2.0])


def search(script: Script, images: int = 1, first: int = 0, **settings) -> list[list[Hypothesis]]:
    step = Speller(script)
    settings = {"max_words": 6, "width": 3, **settings}
    return beam(step, step.start(images, first), images=images, words=WORDS, **settings)


def found(script: Script, **settings) -> list[str]:
    return [spelled(hypothesis) for hypothesis in search(script, **settings)[0]]


class Listener(Speller):
    """Keeps what it is asked to read."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.read: list[np.ndarray] = []

    def __call__(self, words, state):
        self.read.append(words.copy())
        return super().__call__(words, state)


def test_closed_slots_repeat_an_open_one():
    step = Listener(lexicon({"a": 0.4, "bad": 0.3, "dab": 0.2, "cab": 0.1}))
    found = beam(step, step.start(1), images=1, words=WORDS, max_words=6, width=4, n_best=4)
    assert [spelled(h) for h in found[0]] == ["a.", "bad.", "dab.", "cab."]
    read = np.stack(step.read[1:])
    assert END not in read
    assert len(set(read[2])) == 2  # one caption has ended, three go on with "d" or "b"


# --- what it finds

GARDEN_PATH = lexicon({"ab": 0.2, "ac": 0.2, "ad": 0.2, "bb": 0.4})


def test_a_beam_sees_past_the_word_that_only_looks_best_first():
    assert found(GARDEN_PATH, width=1) == ["ab."]
    assert found(GARDEN_PATH, width=2) == ["bb."]


def test_captions_are_returned_best_first_with_their_probabilities():
    script = lexicon({"a": 0.5, "bad": 0.3, "dab": 0.2})
    hypotheses = search(script, width=3, n_best=3)[0]
    assert [spelled(h) for h in hypotheses] == ["a.", "bad.", "dab."]
    assert np.exp([h.log_prob for h in hypotheses]) == pytest.approx([0.5, 0.3, 0.2])


def test_a_length_penalty_prefers_the_longer_caption():
    script = lexicon({"a": 0.6, "abcde": 0.4})
    assert found(script, width=2) == ["a."]
    assert found(script, width=2, length_penalty=1.0) == ["abcde."]


def test_the_end_counts_as_a_word_of_the_length():
    script = lexicon({"abc": 0.5, "b": 0.5})
    longer, shorter = search(script, length_penalty=2.0, n_best=2)[0]
    assert [spelled(longer), spelled(shorter)] == ["abc.", "b."]
    assert longer.score == pytest.approx(math.log(0.5) / 4**2)
    assert shorter.score == pytest.approx(math.log(0.5) / 2**2)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, length_penalty=PENALTIES, max_words=st.integers(1, 4))
def test_a_beam_as_wide_as_all_captions_finds_them_all_in_order(seed, length_penalty, max_words):
    script = noise(seed)
    expected = everything(
        script, 0, letters="abc", max_words=max_words, length_penalty=length_penalty
    )
    hypotheses = search(
        script,
        width=200,
        n_best=len(expected),
        max_words=max_words,
        length_penalty=length_penalty,
    )[0]
    assert [spelled(h) for h in hypotheses] == [word for word, _ in expected]
    assert [h.score for h in hypotheses] == pytest.approx([score for _, score in expected])


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, length_penalty=PENALTIES, max_words=st.integers(1, 4))
def test_a_wide_beam_that_stops_early_still_finds_the_best(seed, length_penalty, max_words):
    script = noise(seed)
    best, _ = everything(
        script, 0, letters="abc", max_words=max_words, length_penalty=length_penalty
    )[0]
    assert found(script, width=200, max_words=max_words, length_penalty=length_penalty) == [best]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, length_penalty=PENALTIES, width=st.integers(1, 5), max_words=st.integers(1, 6))
def test_a_beam_of_any_width_equals_the_one_by_hand(seed, length_penalty, width, max_words):
    expected = beam_by_hand(
        noise(seed), 0, width=width, max_words=max_words, length_penalty=length_penalty
    )
    hypotheses = search(
        noise(seed),
        width=width,
        n_best=width,
        max_words=max_words,
        length_penalty=length_penalty,
    )[0]
    assert [spelled(h) for h in hypotheses] == [word for word, _ in expected]
    assert [h.score for h in hypotheses] == pytest.approx([score for _, score in expected])
    # asking for one caption stops sooner, and finds the same one
    best = found(noise(seed), width=width, max_words=max_words, length_penalty=length_penalty)
    assert best == [expected[0][0]]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, length_penalty=PENALTIES)
def test_a_beam_of_width_one_is_greedy(seed, length_penalty):
    step = Speller(noise(seed))
    single = greedy(step, step.start(3), images=3, words=WORDS, max_words=6)
    narrow = search(noise(seed), images=3, width=1, length_penalty=length_penalty)
    assert [spelled(h) for [h] in narrow] == [spelled(h) for h in single]
    assert [h.log_prob for [h] in narrow] == pytest.approx([h.log_prob for h in single])


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, length_penalty=PENALTIES, width=st.integers(1, 5))
def test_images_together_are_images_one_by_one(seed, length_penalty, width):
    options = {"width": width, "n_best": width, "length_penalty": length_penalty}
    together = search(noise(seed), images=4, **options)  # those that are done are let go of
    for image, hypotheses in enumerate(together):
        [alone] = search(noise(seed), images=1, first=image, **options)
        assert [spelled(h) for h in hypotheses] == [spelled(h) for h in alone]
        assert [h.score for h in hypotheses] == pytest.approx([h.score for h in alone])


def test_an_image_that_is_done_waits_for_the_others():
    script = lexicon({"a": 1.0}, {"abcde": 1.0}, {"bb": 1.0})
    assert [spelled(h) for [h] in search(script, images=3)] == ["a.", "abcde.", "bb."]


def test_no_step_is_taken_when_all_images_are_done():
    step = Speller(lexicon({"ab": 1.0}, {"a": 1.0}))
    beam(step, step.start(2), images=2, words=WORDS, max_words=8, width=2)
    assert step.calls == [2, 4, 2]  # the second image was let go of
    assert step.selected == [1]


def test_a_step_that_cannot_select_is_asked_about_all_images():
    speller = Speller(lexicon({"ab": 1.0}, {"a": 1.0}))
    found = beam(
        speller.__call__,  # a bare function
        speller.start(2),
        images=2,
        words=WORDS,
        max_words=8,
        width=2,
    )
    assert speller.calls == [2, 4, 4]
    assert [spelled(best) for best, *_ in found] == ["ab.", "a."]


# --- what a caption carries


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, width=st.integers(1, 5))
def test_log_probs_are_the_models_own_and_sum_to_the_captions(seed, width):
    script = noise(seed)
    for image, hypotheses in enumerate(search(script, images=2, width=width, n_best=width)):
        for h in hypotheses:
            own = word_log_probs(script, image, spelled(h))
            assert h.log_probs == pytest.approx(own[: len(h.words)])
            assert h.log_prob == pytest.approx(sum(own))
            assert len(h.log_probs) == len(h.words)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, width=st.integers(1, 5))
def test_attention_follows_the_beam_that_won(seed, width):
    for hypotheses in search(noise(seed), images=2, width=width, n_best=width):
        for h in hypotheses:
            assert h.attention.shape == (len(h.words), ROOM)
            looks = [spell(row[row > 0].astype(int)) for row in h.attention]
            assert looks == ["_" + spell(h.words)[:t] for t in range(len(h.words))]
            assert h.sentinel.tolist() == [START, *h.words][: len(h.words)]


def test_a_decoder_that_does_not_look_gives_no_attention():
    step = Speller(lexicon({"ab": 1.0}))

    def blind(words, state):
        return step(words, state)._replace(attention=None, sentinel=None)

    [[h]] = beam(blind, step.start(1), images=1, words=WORDS, max_words=5)
    assert h.attention is None
    assert h.sentinel is None


# --- degenerate cases


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, width=st.integers(1, 12), max_words=st.integers(1, 5))
def test_banned_words_never_appear(seed, width, max_words):
    for hypotheses in search(noise(seed), images=2, width=width, n_best=width, max_words=max_words):
        assert hypotheses
        for h in hypotheses:
            assert not {*NUMBERS_OF_BANNED, END} & set(h.words)
            assert math.isfinite(h.log_prob)


def test_with_nothing_finished_the_best_unfinished_caption_is_returned():
    script = lexicon({"abcde": 0.6, "bcdea": 0.4})
    [h] = search(script, max_words=3)[0]
    assert spelled(h) == "abc"
    assert not h.finished
    assert h.log_prob == pytest.approx(math.log(0.6))
    assert len(h.log_probs) == len(h.attention) == 3


def test_a_finished_caption_goes_before_a_better_unfinished_one():
    script = lexicon({"abcde": 0.9, "b": 0.1})
    assert found(script, max_words=3, n_best=2) == ["b.", "abc"]


def test_an_empty_caption_can_be_the_best():
    [h] = search(lexicon({"": 0.9, "a": 0.1}))[0]
    assert h.words == []
    assert h.finished
    assert h.log_prob == pytest.approx(math.log(0.9))
    assert h.attention.shape == (0, ROOM)
    assert h.log_probs.shape == (0,)


@pytest.mark.parametrize("width", [6, 7, 50])
def test_fewer_allowed_words_than_the_width_is_no_trouble(width):
    everything_there_is = ["", "a", "b", "c", "d", "e"]
    shares = [0.3, 0.25, 0.2, 0.1, 0.1, 0.05]
    script = lexicon(dict(zip(everything_there_is, shares, strict=True)))
    hypotheses = search(script, width=width, n_best=width, max_words=2)[0]
    assert [spelled(h) for h in hypotheses[:6]] == [".", "a.", "b.", "c.", "d.", "e."]


def test_one_allowed_word_fills_one_slot():
    def only_a(words: np.ndarray, state: np.ndarray) -> Scored:
        scores = np.full((len(words), 9), -np.inf)
        scores[:, 4] = 0.0
        return Scored(scores, state)

    hypotheses = beam(only_a, np.zeros((1, 1)), images=1, words=WORDS, max_words=3, n_best=5)[0]
    assert [spelled(h) for h in hypotheses] == ["aaa"]


def test_no_more_captions_than_the_width_are_returned():
    assert len(search(noise(0), width=2, n_best=7)[0]) == 2


def test_a_state_of_one_array_and_a_nested_one_are_reordered_too():
    def plain(words: np.ndarray, state: np.ndarray) -> Scored:
        scored = step(words, History(*state[0]))
        return scored._replace(state=(tuple(scored.state), words))

    step = Speller(GARDEN_PATH)
    History = type(step.start(1))
    start = (tuple(step.start(1)), np.zeros(1))
    [[h]] = beam(plain, start, images=1, words=WORDS, max_words=5, width=2)
    assert spelled(h) == "bb."


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, width=st.integers(1, 5), length_penalty=PENALTIES)
def test_numpy_and_torch_find_the_same(seed, width, length_penalty):
    options = {"width": width, "n_best": width, "length_penalty": length_penalty}
    expected = search(noise(seed), images=3, **options)
    step = TorchSpeller(noise(seed))
    given = beam(step, step.start(3), images=3, words=WORDS, max_words=6, arrays=TORCH, **options)
    for ours, theirs in zip(given, expected, strict=True):
        assert [spelled(h) for h in ours] == [spelled(h) for h in theirs]
        for h, other in zip(ours, theirs, strict=True):
            assert h.score == pytest.approx(other.score, abs=1e-5)
            assert h.log_probs == pytest.approx(other.log_probs, abs=1e-5)
            assert (h.attention == other.attention).all()
            assert (h.sentinel == other.sentinel).all()
