"""The best words are found, and exact where all others are rough."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cutline.decoders import TORCH
from cutline.decoders.best import EXACT, Rough, best_words, exact_where_best

N, V, SIZE = 40, 900, 32
BANNED = torch.tensor([0, 1, 3])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def rough_and_right() -> tuple:
    """Scores with a rounding that exchanges near words, and as they are."""
    x, weight, bias = torch.randn(N, SIZE), torch.randn(V, SIZE), torch.randn(V)
    bias[0] += 20  # a banned word that is among the best

    def rounded(x):
        return ((x @ weight.T + bias) * 4).round() / 4

    return exact_where_best(rounded, weight, bias)(x), x @ weight.T + bias


@pytest.mark.parametrize("size", [5, 64, 700, 2633])
@pytest.mark.parametrize("k", [1, 5])
def test_the_best_words_are_those_of_topk(size: int, k: int):
    scores = torch.randn(40, size)
    best, words = best_words(scores, k)
    expected = scores.topk(k, dim=1)
    assert torch.equal(best, expected.values)
    assert torch.equal(words, expected.indices)


def test_scores_are_exact_where_they_are_best_and_rough_elsewhere():
    rough, right = rough_and_right()
    assert torch.allclose(rough.exact, right.gather(1, rough.words), atol=1e-4)
    off = (rough.whole() - right).abs() > 1e-4
    assert not off.gather(1, rough.words).any()
    assert off.float().mean() > 0.9


def test_a_word_that_only_seemed_to_be_certain_does_no_harm():
    rough = torch.zeros(1, 10)
    rough[0, 4] = 60
    right = torch.zeros(1, 10)
    right[0, 4] = -5
    words = torch.arange(2, 10).unsqueeze(0)
    best, _ = TORCH.top(Rough(rough, words, right.gather(1, words)), 3, np.array([0, 1, 3]))
    assert np.isfinite(best).all()
    assert (best <= 0).all()


@pytest.mark.parametrize("k", [1, 5])
def test_a_search_is_given_the_right_words_with_their_probabilities(k: int):
    rough, right = rough_and_right()
    log_probs = F.log_softmax(right, 1).index_fill(1, BANNED, -torch.inf)
    expected = log_probs.topk(k, dim=1)
    best, words = TORCH.top(rough, k, BANNED.numpy())
    assert (words == expected.indices.numpy()).all()
    assert torch.allclose(torch.from_numpy(best), expected.values, atol=0.02)
    rounded, _ = TORCH.top(rough.scores, k, BANNED.numpy())
    assert not torch.allclose(torch.from_numpy(rounded), expected.values, atol=0.1)


def test_a_wider_search_has_all_words():
    rough, _ = rough_and_right()
    k = EXACT - len(BANNED) + 1
    assert rough.top(k, BANNED) is None
    best, words = TORCH.top(rough, k, BANNED.numpy())
    again, same = TORCH.top(rough.whole(), k, BANNED.numpy())
    assert words.shape == (N, k)
    assert (best == again).all()
    assert (words == same).all()
    assert (TORCH.log_probs(rough, BANNED.numpy())[:, BANNED] == -torch.inf).all()
