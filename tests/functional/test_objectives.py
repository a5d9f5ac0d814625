"""What training makes small, against loops over captions, words and regions."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from cutline.functional import doubly_stochastic_penalty, temporal_softmax_loss
from cutline.losses import word_loss
from support.oracles import draw

N, R, T, V = 6, 7, 4, 9
PAD = 0


# --- temporal_softmax_loss


@pytest.mark.parametrize(("captions", "steps"), [(N, T), (1, T), (N, 1), (1, 1)])
def test_the_loss_is_summed_over_words_and_averaged_over_captions(captions, steps):
    scores, targets = 3 * draw(captions, steps, V), torch.randint(1, V, (captions, steps))
    targets[0, steps // 2 + 1 :] = PAD
    expected = 0.0
    for n, t in np.ndindex(captions, steps):
        if targets[n, t] != PAD:
            p = np.exp(scores[n, t].numpy())
            expected -= np.log(p[targets[n, t]] / p.sum()) / captions
    loss = temporal_softmax_loss(scores, targets, PAD)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_it_is_the_loss_of_the_words_that_training_sums():
    scores, targets = draw(N, T, V), torch.randint(0, V, (N, T))
    real = targets != PAD
    ours = temporal_softmax_loss(scores, targets, ignore_index=PAD)
    assert torch.allclose(ours, word_loss(scores[real], targets[real]).loss / N)


def test_captions_of_padding_only_cost_nothing():
    assert temporal_softmax_loss(draw(2, T, V), torch.full((2, T), PAD), PAD) == 0


def test_the_padding_may_have_any_number():
    scores, targets = draw(N, T, V), torch.randint(0, V - 1, (N, T))
    moved = torch.where(targets == PAD, -100, targets)
    ours = temporal_softmax_loss(scores, moved, -100)
    assert torch.equal(ours, temporal_softmax_loss(scores, targets, PAD))


def test_the_loss_has_the_gradient_it_should():
    targets = torch.tensor([[1, 2, PAD], [2, 2, 1]])
    scores = draw(2, 3, 4, grad=True)
    assert gradcheck(lambda s: temporal_softmax_loss(s, targets, PAD), [scores])


# --- doubly_stochastic_penalty


def test_the_penalty_is_its_loop_over_captions_and_regions():
    weights = draw(N, T, R).softmax(-1)
    lengths = torch.tensor([4, 1, 3, 0, 2, 4])
    expected = 0.0
    for n in range(N):
        for i in range(R):
            looked = sum(float(weights[n, t, i]) for t in range(int(lengths[n])))
            expected += (1 - looked) ** 2
    penalty = doubly_stochastic_penalty(weights, lengths)
    assert penalty.shape == ()
    assert float(penalty) == pytest.approx(expected / N, rel=1e-12)


def test_every_region_looked_at_once_costs_nothing():
    weights = torch.eye(R).double().expand(2, R, R)
    assert doubly_stochastic_penalty(weights, torch.tensor([R, R])) == 0


def test_steps_past_the_end_cost_nothing():
    weights = draw(2, T, R).softmax(-1)
    lengths = torch.tensor([2, 3])
    noisy = weights.clone()
    noisy[0, 2:], noisy[1, 3:] = 5.0, -7.0
    assert torch.equal(
        doubly_stochastic_penalty(noisy, lengths), doubly_stochastic_penalty(weights, lengths)
    )


def test_the_penalty_has_the_gradient_it_should():
    lengths = torch.tensor([2, 0, 3])
    assert gradcheck(lambda w: doubly_stochastic_penalty(w, lengths), [draw(3, 3, 2, grad=True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_float_type_goes_and_stays(dtype):
    scores, weights = draw(N, T, V).to(dtype), draw(N, T, R).softmax(-1).to(dtype)
    lengths = torch.full((N,), T)
    assert temporal_softmax_loss(scores, torch.ones(N, T).long(), PAD).dtype == dtype
    assert doubly_stochastic_penalty(weights, lengths).dtype == dtype
