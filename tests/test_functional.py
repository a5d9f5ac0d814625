"""The equations against PyTorch's own layers, loops and finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from cutline.functional import additive_attention, doubly_stochastic_penalty, lstm_step

N, E, H, R, A, D, T = 6, 5, 4, 7, 3, 5, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def draw(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


@torch.no_grad()
def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float(((ours - theirs).abs() / (ours.abs() + theirs.abs()).clamp(min=1e-8)).max())


# --- lstm_step


def test_an_lstm_step_is_that_of_torch():
    x, h, c, Wx, Wh, b = (
        draw(N, E),
        draw(N, H),
        draw(N, H),
        draw(E, 4 * H),
        draw(H, 4 * H),
        draw(4 * H),
    )
    i, f, o, g = (torch.arange(n * H, (n + 1) * H) for n in range(4))
    theirs_in_ours = torch.cat([i, f, g, o])  # PyTorch stacks i, f, g, o
    cell = nn.LSTMCell(E, H).double()
    with torch.no_grad():
        cell.weight_ih.copy_(Wx[:, theirs_in_ours].T)
        cell.weight_hh.copy_(Wh[:, theirs_in_ours].T)
        cell.bias_ih.copy_(b[theirs_in_ours])
        cell.bias_hh.zero_()
    for ours, theirs in zip(lstm_step(x, h, c, Wx, Wh, b), cell(x, (h, c)), strict=True):
        assert relative_error(ours, theirs) < 1e-12


def test_an_lstm_step_has_the_gradient_it_should():
    assert gradcheck(
        lstm_step,
        [
            draw(2, 3, grad=True),
            draw(2, 2, grad=True),
            draw(2, 2, grad=True),
            draw(3, 8, grad=True),
            draw(2, 8, grad=True),
            draw(8, grad=True),
        ],
    )


def test_an_open_forget_gate_and_a_closed_input_gate_keep_the_cell():
    b = torch.cat([torch.full((H,), -1e4), torch.full((H,), 1e4), torch.zeros(2 * H)]).double()
    c = draw(N, H)
    zeros = torch.zeros(E, 4 * H).double(), torch.zeros(H, 4 * H).double()
    h, kept = lstm_step(draw(N, E), draw(N, H), c, *zeros, b)
    assert torch.equal(kept, c)
    assert torch.allclose(h, 0.5 * c.tanh())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_float_type_goes_and_stays(dtype):
    arguments = [draw(N, E), draw(N, H), draw(N, H), draw(E, 4 * H), draw(H, 4 * H), draw(4 * H)]
    h, c = lstm_step(*(x.to(dtype) for x in arguments))
    assert h.dtype == c.dtype == dtype
    arguments = [draw(N, H), draw(N, R, A), draw(N, R, D), draw(H, A), draw(A)]
    context, weights = additive_attention(*(x.to(dtype) for x in arguments))
    assert context.dtype == weights.dtype == dtype


# --- additive_attention


def by_loop(h, keys, values, Wh, v, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """One caption and one region at a time; caption `n` belongs to image `n // K`."""
    captions = len(h) // len(keys)
    contexts, weights = [], []
    for n in range(len(h)):
        image = n // captions
        e = [
            float(v @ np.tanh(keys[image][r] + h[n] @ Wh))
            if mask is None or mask[image][r]
            else -np.inf
            for r in range(R)
        ]
        alpha = np.exp(e) / np.exp(e).sum()
        weights.append(alpha)
        contexts.append(sum(alpha[r] * values[image][r] for r in range(R)))
    return np.stack(contexts), np.stack(weights)


@pytest.mark.parametrize("images", [1, 2, 3, N])
@pytest.mark.parametrize("masked", [False, True])
def test_additive_attention_is_its_loop_however_many_captions_share_an_image(images, masked):
    arguments = [draw(N, H), draw(images, R, A), draw(images, R, D), draw(H, A), draw(A)]
    mask = torch.rand(images, R) < 0.6 if masked else None
    if mask is not None:
        mask[:, 0] = True
    context, weights = additive_attention(*arguments, mask)
    expected = by_loop(*(x.numpy() for x in arguments), mask)
    assert context.numpy() == pytest.approx(expected[0], rel=1e-12, abs=1e-12)
    assert weights.numpy() == pytest.approx(expected[1], rel=1e-12, abs=1e-12)


def test_attention_weights_sum_to_one_and_hidden_regions_get_none():
    mask = torch.ones(N, R, dtype=torch.bool)
    mask[:, 2] = False
    _, weights = additive_attention(
        draw(N, H), draw(N, R, A), draw(N, R, D), draw(H, A), draw(A), mask
    )
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(1), torch.ones(N).double())
    assert (weights[:, 2] == 0).all()


def test_regions_that_look_alike_share_attention_alike():
    values = draw(2, R, D)
    context, weights = additive_attention(
        draw(2, H), draw(2, 1, A).expand(2, R, A), values, draw(H, A), draw(A)
    )
    assert torch.allclose(weights, torch.full((2, R), 1 / R).double())
    assert torch.allclose(context, values.mean(1))


def test_very_large_scores_do_not_overflow():
    context, weights = additive_attention(
        draw(2, H), draw(2, R, A), draw(2, R, D), draw(H, A), 1e6 * draw(A)
    )
    assert context.isfinite().all()
    assert torch.allclose(weights.sum(1), torch.ones(2).double())


def test_additive_attention_has_the_gradient_it_should():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    arguments = [draw(4, 2, grad=True), draw(2, 3, 2, grad=True), draw(2, 3, 2, grad=True)]
    weights = [draw(2, 2, grad=True), draw(2, grad=True)]
    assert gradcheck(additive_attention, [*arguments, *weights, mask])


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
