"""The loss of words against its definition, in numpy, word by word."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from cutline.losses import word_loss

M, V = 20, 9


@pytest.fixture
def scores() -> torch.Tensor:
    return torch.randn(M, V, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.randint(0, V, (M,), generator=torch.Generator().manual_seed(1))


def surprise(scores: torch.Tensor) -> np.ndarray:
    """-log p of every word."""
    p = np.exp(scores.numpy())
    return -np.log(p / p.sum(1, keepdims=True))


def test_cross_entropy_is_summed_over_words(scores, targets):
    expected = sum(surprise(scores)[m, targets[m]] for m in range(M))
    losses = word_loss(scores, targets)
    assert float(losses.loss) == pytest.approx(expected, rel=1e-12)
    assert float(losses.cross_entropy) == pytest.approx(expected, rel=1e-12)
    assert losses.words == M
    assert float(losses.perplexity) == pytest.approx(math.exp(expected / M))


def test_label_smoothing_gives_every_word_a_share(scores, targets):
    each = surprise(scores)
    expected = sum(0.8 * each[m, targets[m]] + 0.2 * each[m].mean() for m in range(M))
    losses = word_loss(scores, targets, label_smoothing=0.2)
    assert float(losses.loss) == pytest.approx(expected, rel=1e-12)
    # what is reported is never smoothed
    assert losses.cross_entropy == word_loss(scores, targets).cross_entropy


def test_a_top_five_hit_is_one_of_the_five_best(scores, targets):
    hits = sum(int(targets[m]) in np.argsort(-scores[m].numpy())[:5] for m in range(M))
    assert 0 < hits < M
    assert int(word_loss(scores, targets).top5) == hits


def test_a_vocabulary_of_less_than_five_words_is_always_hit():
    assert int(word_loss(torch.randn(4, 3), torch.tensor([0, 1, 2, 0])).top5) == 4


def test_knowing_nothing_has_the_perplexity_of_the_vocabulary(targets):
    assert float(word_loss(torch.zeros(M, V), targets).perplexity) == pytest.approx(V)


def test_only_the_loss_carries_a_gradient(scores, targets):
    losses = word_loss(scores.requires_grad_(), targets, label_smoothing=0.1)
    assert losses.loss.requires_grad
    assert not losses.cross_entropy.requires_grad
    assert not losses.top5.requires_grad
    assert gradcheck(lambda s: word_loss(s, targets, label_smoothing=0.1).loss, [scores])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_divided_on_the_way_it_has_the_gradient_of_divided_after(dtype: torch.dtype):
    scores, targets = torch.randn(M, V).to(dtype).requires_grad_(), torch.randint(0, V, (M,))
    scale = 65536.0  # a gradient scaler's, more than float16 holds
    found = word_loss(scores, targets, per=320).loss
    wanted = word_loss(scores, targets).loss / 320
    assert torch.allclose(found, wanted)
    (ours,) = torch.autograd.grad(found * scale, scores)
    (theirs,) = torch.autograd.grad(wanted * scale, scores)
    assert ours.isfinite().all()
    assert torch.allclose(ours, theirs, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_words_of_the_same_prediction_are_judged_as_if_each_had_its_own(
    monkeypatch: pytest.MonkeyPatch, smoothing: float
):
    monkeypatch.setattr("cutline.losses.PIECE", 3 * 9)  # three rows at a time
    generator = torch.Generator().manual_seed(3)
    rows = torch.tensor([0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 7])
    targets = torch.randint(9, rows.shape, generator=generator)
    scores = torch.randn(8, 9, generator=generator, dtype=torch.float64)
    shared, own = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    ours = word_loss(shared, targets, rows=rows, label_smoothing=smoothing, per=2)
    theirs = word_loss(own[rows], targets, label_smoothing=smoothing, per=2)
    ours.loss.backward()
    theirs.loss.backward()
    assert torch.allclose(ours.loss, theirs.loss, rtol=1e-12)
    assert torch.allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-12)
    assert (ours.top5, ours.words) == (theirs.top5, 11)
    assert torch.allclose(shared.grad, own.grad, rtol=1e-12)
