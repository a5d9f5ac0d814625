"""Captions that are made up with a gradient: which words, how probable, how long."""

import pytest
import torch

from cutline.decoders import Decoder, Hard
from cutline.fast import rollout, unroll
from support.specimens import Counting, Sampled, strides
from support.suite import BUILDERS, END, START, WORDS, D, R, V, close, rows, some_features


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class CountingDown(Counting):
    """Counts, and then ends: after `last` comes `<end>`."""

    def step(self, words, state, memory):
        step = super().step(words, state, memory)
        output = step.output.clone()
        done = words == self.last
        output[done] = torch.eye(V, dtype=torch.float64)[END]
        return step._replace(output=output)


def test_captions_are_drawn_until_each_has_ended():
    decoder = CountingDown(vocabulary_size=V, last=9)
    found = rollout(decoder, strides(4, 3), words=WORDS, max_words=20, samples=2)
    assert found.words.tolist() == [
        [5, 9, END, END],
        [5, 9, END, END],
        [4, 7, 9, END],
        [4, 7, 9, END],
    ]
    assert found.lengths.tolist() == [3, 3, 4, 4]
    assert found.location_log_probs is None
    assert found.location_entropies is None


def test_a_caption_that_does_not_end_has_as_many_words_as_it_may():
    decoder = Counting(vocabulary_size=V, last=9)
    found = rollout(decoder, strides(4), words=WORDS, max_words=4)
    assert found.words.tolist() == [[5, 9, 9, 9]]
    assert found.lengths.tolist() == [4]
    assert rollout(decoder, strides(4), words=WORDS, max_words=1).words.tolist() == [[5]]


def test_words_are_drawn_as_often_as_they_are_probable_and_never_banned_ones():
    decoder = Counting(vocabulary_size=V, last=9, sure=1.5)
    found = rollout(decoder, strides(4), words=WORDS, max_words=1, samples=20_000)
    scores = torch.zeros(V).double()
    scores[5] = 1.5
    scores[WORDS.banned] = -torch.inf
    expected = 20_000 * scores.softmax(0)
    counts = torch.bincount(found.words[:, 0], minlength=V)
    assert (counts[WORDS.banned] == 0).all()
    allowed = expected > 0
    chi_square = ((counts - expected).square() / expected)[allowed].sum()
    assert chi_square < 27.9  # 8 degrees of freedom: once in 2,000


def test_log_probabilities_and_their_gradient_are_those_of_reading_the_caption(decoder: Decoder):
    features, samples = some_features(2), 3
    found = rollout(decoder, features, words=WORDS, max_words=5, samples=samples)
    longest = found.words.shape[1]
    read = found.words.roll(1, 1)
    read[:, 0] = START
    shape = (2, samples, longest)
    unrolled = unroll(decoder, features, read.view(shape), found.lengths.view(2, samples))
    scores = decoder.project(unrolled.output)
    scores = scores.index_fill(1, torch.from_numpy(WORDS.banned), -torch.inf)
    said = found.words.flatten()[unrolled.places]
    expected = torch.zeros(found.words.numel()).double()
    expected[unrolled.places] = scores.log_softmax(1)[torch.arange(len(said)), said].detach()
    assert close(found.log_probs, expected.view_as(found.log_probs))
    weights = torch.randn(found.words.shape).double()
    theirs = scores.log_softmax(1)[torch.arange(len(said)), said]
    ours, own = (
        torch.autograd.grad(value, list(decoder.parameters()), materialize_grads=True)
        for value in (
            (found.log_probs * weights).sum(),
            (theirs * weights.flatten()[unrolled.places]).sum(),
        )
    )
    assert all(map(close, ours, own))


def test_what_follows_the_end_counts_nothing():
    torch.manual_seed(3)
    decoder = BUILDERS["soft"]().double()
    found = rollout(decoder, some_features(3), words=WORDS, max_words=12, samples=8)
    past = torch.arange(found.words.shape[1]) >= found.lengths.unsqueeze(1)
    assert past.any()
    assert (found.words[past] == END).all()
    assert (found.log_probs[past] == 0).all()
    assert (found.log_probs[~past] < 0).all()
    last = found.words.gather(1, found.lengths.unsqueeze(1) - 1)[:, 0]
    assert ((last == END) | (found.lengths == 12)).all()
    assert ((found.words == END).sum(1) == past.sum(1) + (last == END)).all()


def test_one_sample_of_one_image_is_a_batch_too():
    decoder = BUILDERS["nic"]().double()
    found = rollout(decoder, rows(some_features(1), [0]), words=WORDS, max_words=6)
    assert found.words.shape[0] == found.lengths.shape[0] == 1


def test_places_that_were_drawn_come_with_their_probability_and_openness():
    hard = Hard(vocabulary_size=V, feature_size=D, embedding=5, hidden=6, attention=4).double()
    for decoder in (hard, Sampled(vocabulary_size=V, feature_size=D).double()):
        decoder.train()
        found = rollout(decoder, some_features(2), words=WORDS, max_words=8, samples=16)
        past = torch.arange(found.words.shape[1]) >= found.lengths.unsqueeze(1)
        assert past.any()
        for values in (found.location_log_probs, found.location_entropies):
            assert values.shape == found.words.shape
            assert values.requires_grad
            assert (values[past] == 0).all()
            assert (values[~past] != 0).any()
        assert (found.location_log_probs <= 0).all()
        assert (found.location_entropies <= torch.tensor(R).log() + 1e-9).all()
