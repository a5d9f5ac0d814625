"""RNN and LSTM against PyTorch's layers with the same weights, loops and finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from cutline.functional import (
    attention_lstm,
    attention_lstm_step,
    lstm,
    lstm_step,
    rnn,
    rnn_backward,
    rnn_step,
)
from support.oracles import draw, relative_error, torch_lstm, torch_rnn

E, H = 5, 4
SIZES = pytest.mark.parametrize(("N", "T"), [(6, 4), (1, 4), (6, 1), (1, 1)])


def rnn_weights(*, grad: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    return draw(E, H, grad=grad), draw(H, H, grad=grad), draw(H, grad=grad)


def lstm_weights() -> tuple[Tensor, Tensor, Tensor]:
    return draw(E, 4 * H), draw(H, 4 * H), draw(4 * H)


# --- the vanilla RNN


@SIZES
def test_an_rnn_is_that_of_torch(N, T):
    x, h0, weights = draw(N, T, E), draw(N, H), rnn_weights()
    theirs, _ = torch_rnn(*weights)(x, h0.unsqueeze(0))
    assert relative_error(rnn(x, h0, *weights), theirs) < 1e-12
    assert relative_error(rnn_step(x[:, 0], h0, *weights), theirs[:, 0]) < 1e-12


@SIZES
def test_back_propagation_by_hand_is_what_autograd_finds(N, T):
    x, h0 = draw(N, T, E, grad=True), draw(N, H, grad=True)
    Wx, Wh, b = rnn_weights(grad=True)
    h = rnn(x, h0, Wx, Wh, b)
    dh = draw(N, T, H)
    expected = torch.autograd.grad(h, [x, h0, Wx, Wh, b], dh)
    ours = rnn_backward(dh, *(tensor.detach() for tensor in (x, h0, h, Wx, Wh)))
    assert ours._fields == ("dx", "dh0", "dWx", "dWh", "db")
    for own, theirs in zip(ours, expected, strict=True):
        assert not own.requires_grad
        assert own.shape == theirs.shape
        assert torch.allclose(own, theirs, rtol=1e-10, atol=1e-10)


def test_back_propagation_by_hand_needs_no_autograd_and_changes_nothing_it_is_given():
    x, h0, (Wx, Wh, b) = draw(3, 4, E), draw(3, H), rnn_weights()
    with torch.inference_mode():
        h, dh = rnn(x, h0, Wx, Wh, b), draw(3, 4, H)
        given = [tensor.clone() for tensor in (dh, x, h0, h, Wx, Wh)]
        rnn_backward(dh, x, h0, h, Wx, Wh)
    assert all(map(torch.equal, given, (dh, x, h0, h, Wx, Wh)))


def test_a_loss_that_sees_only_the_first_state_has_no_gradient_by_later_words():
    x, h0, (Wx, Wh, b) = draw(2, 3, E), draw(2, H), rnn_weights()
    dh = torch.zeros(2, 3, H, dtype=torch.float64)
    dh[:, 0] = 1
    gradients = rnn_backward(dh, x, h0, rnn(x, h0, Wx, Wh, b), Wx, Wh)
    assert (gradients.dx[:, 1:] == 0).all()
    assert (gradients.dx[:, 0] != 0).any()


def test_an_rnn_has_the_gradient_it_should():
    x, h0 = draw(2, 3, 2, grad=True), draw(2, 2, grad=True)
    weights = [draw(2, 2, grad=True), draw(2, 2, grad=True), draw(2, grad=True)]
    assert gradcheck(rnn, [x, h0, *weights])


# --- the LSTM


@SIZES
def test_an_lstm_is_that_of_torch(N, T):
    x, h0, c0, weights = draw(N, T, E), draw(N, H), draw(N, H), lstm_weights()
    layer = torch_lstm(*weights)
    theirs, _ = layer(x, (h0.unsqueeze(0), c0.unsqueeze(0)))
    assert relative_error(lstm(x, h0, *weights, c0), theirs) < 1e-12
    theirs, _ = layer(x, (h0.unsqueeze(0), torch.zeros(1, N, H).double()))
    assert relative_error(lstm(x, h0, *weights), theirs) < 1e-12
    assert relative_error(lstm(x, h0, *weights, c0=None), theirs) < 1e-12


@pytest.mark.parametrize("N", [1, 6])
def test_an_lstm_step_is_that_of_torch(N):
    x, h, c, weights = draw(N, E), draw(N, H), draw(N, H), lstm_weights()
    _, theirs = torch_lstm(*weights)(x.unsqueeze(1), (h.unsqueeze(0), c.unsqueeze(0)))
    for ours, (own,) in zip(lstm_step(x, h, c, *weights), theirs, strict=True):
        assert relative_error(ours, own) < 1e-12


def test_an_lstm_has_the_gradient_it_should():
    x, h0, c0 = draw(2, 2, 3, grad=True), draw(2, 2, grad=True), draw(2, 2, grad=True)
    weights = [draw(3, 8, grad=True), draw(2, 8, grad=True), draw(8, grad=True)]
    assert gradcheck(lstm, [x, h0, *weights, c0])
    assert gradcheck(lstm_step, [x[:, 0], h0, c0, *weights])


def test_an_open_forget_gate_and_a_closed_input_gate_keep_the_cell():
    b = torch.cat([torch.full((H,), -1e4), torch.full((H,), 1e4), torch.zeros(2 * H)]).double()
    c = draw(6, H)
    zeros = torch.zeros(E, 4 * H).double(), torch.zeros(H, 4 * H).double()
    h, kept = lstm_step(draw(6, E), draw(6, H), c, *zeros, b)
    assert torch.equal(kept, c)
    assert torch.allclose(h, 0.5 * c.tanh())


# --- the LSTM that looks


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def looking_by_loop(x, A, Wx, Wh, Wattn, b) -> np.ndarray:
    """One caption, one step and one position at a time; caption `n` belongs to image `n // K`."""
    states = np.empty((len(x), x.shape[1], H))
    for n in range(len(x)):
        grid = A[n // (len(x) // len(A))].reshape(H, -1)
        h = c = grid.mean(1)
        for t in range(x.shape[1]):
            scores = np.array([h @ a for a in grid.T]) / np.sqrt(H)
            M = np.exp(scores) / np.exp(scores).sum()
            x_attn = sum(share * a for share, a in zip(M, grid.T, strict=True))
            a = x[n, t] @ Wx + h @ Wh + x_attn @ Wattn + b
            i, f, o, g = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states[n, t] = h
    return states


@SIZES
@pytest.mark.parametrize("side", [1, 2, 3])
def test_an_lstm_that_looks_is_its_loop(N, T, side):
    x, A, (Wx, Wh, b), Wattn = draw(N, T, E), draw(N, H, side, side), lstm_weights(), draw(H, 4 * H)
    expected = looking_by_loop(*(tensor.numpy() for tensor in (x, A, Wx, Wh, Wattn, b)))
    ours = attention_lstm(x, A, Wx, Wh, Wattn, b)
    assert ours.shape == (N, T, H)
    assert ours.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_captions_of_one_image_share_its_grid(images):
    x, A, (Wx, Wh, b), Wattn = draw(6, 3, E), draw(images, H, 2, 3), lstm_weights(), draw(H, 4 * H)
    expected = looking_by_loop(*(tensor.numpy() for tensor in (x, A, Wx, Wh, Wattn, b)))
    ours = attention_lstm(x, A, Wx, Wh, Wattn, b)
    assert ours.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_what_is_seen_but_not_weighed_changes_nothing():
    x, h, c, weights = draw(3, E), draw(3, H), draw(3, H), lstm_weights()
    blind = torch.zeros(H, 4 * H).double()
    Wx, Wh, b = weights
    ours = attention_lstm_step(x, h, c, draw(3, H), Wx, Wh, blind, b)
    assert all(map(torch.equal, ours, lstm_step(x, h, c, *weights)))


def test_an_lstm_that_looks_has_the_gradient_it_should():
    x, A = draw(2, 2, 3, grad=True), draw(1, 2, 2, 2, grad=True)
    Wx, Wh, Wattn, b = (draw(*shape, grad=True) for shape in ((3, 8), (2, 8), (2, 8), (8,)))
    assert gradcheck(attention_lstm, [x, A, Wx, Wh, Wattn, b])


# --- types


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_float_type_goes_and_stays(dtype):
    x, h, c, A = (t.to(dtype) for t in (draw(6, 3, E), draw(6, H), draw(6, H), draw(2, H, 2, 2)))
    simple = [tensor.to(dtype) for tensor in rnn_weights()]
    Wx, Wh, b = (tensor.to(dtype) for tensor in lstm_weights())
    Wattn = draw(H, 4 * H).to(dtype)
    states = rnn(x, h, *simple)
    results = [
        states,
        rnn_step(x[:, 0], h, *simple),
        *rnn_backward(torch.ones_like(states), x, h, states, *simple[:2]),
        lstm(x, h, Wx, Wh, b),
        lstm(x, h, Wx, Wh, b, c),
        *lstm_step(x[:, 0], h, c, Wx, Wh, b),
        *attention_lstm_step(x[:, 0], h, c, h, Wx, Wh, Wattn, b),
        attention_lstm(x, A, Wx, Wh, Wattn, b),
    ]
    assert all(result.dtype == dtype for result in results)
    assert all(result.isfinite().all() for result in results)
