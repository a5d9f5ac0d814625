"""Each decoder against its paper's equations, written out again, one caption at a time."""

from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from cutline.decoders import Adaptive, Dot, Hard, Nic, Rnn, Soft, Spatial
from cutline.fast import enabled, unroll
from cutline.functional import attention_lstm, rnn_backward
from support.papers import (
    WORDS,
    A,
    D,
    E,
    H,
    R,
    V,
    features,
    randomised,
    sigmoid,
    softmax,
    teacher_forced,
    torch_cell,
    weighted,
)
from support.suite import by_place

SIZES = {"vocabulary_size": V, "feature_size": D, "embedding": E, "hidden": H}
CELLS = pytest.mark.parametrize("cell", ["scratch", "fused"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def stacked(decoder: Soft | Dot) -> tuple[Tensor, Tensor, Tensor]:
    """The LSTM's weights (input, 4H), (H, 4H), (4H,), wherever the decoder keeps them."""
    if decoder.scratch is None:
        return decoder.Wx, decoder.Wh, decoder.b
    Wxh, Wh, b = decoder.scratch.stacked()
    return Wxh, Wh, b


def close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, rtol=0, atol=1e-12)


# --- those that see the image once


@pytest.mark.parametrize("backward", ["auto", "manual"])
def test_rnn_starts_from_the_image_and_reads_the_words(backward):
    decoder = randomised(Rnn(**SIZES, backward=backward))
    seen = features()
    _, scores = teacher_forced(decoder, seen)
    for b in range(2):
        h = decoder.W_p.weight @ seen.pooled[b] + decoder.W_p.bias
        for t, word in enumerate(WORDS[b, 0]):
            x = decoder.embed.weight[word]
            h = torch.tanh(decoder.Wx.T @ x + decoder.Wh.T @ h + decoder.b)
            assert close(scores[b, t], decoder.W_v.weight @ h + decoder.W_v.bias)


@pytest.mark.skipif(not enabled(), reason="by its steps the gradient is autograd's")
@pytest.mark.parametrize("lengths", [[[4], [4]], [[1], [3]], [[0], [2]]], ids=str)
def test_the_gradient_by_hand_trains_rnn_as_autograd_does(lengths, monkeypatch):
    auto, manual = (randomised(Rnn(**SIZES, backward=name)) for name in ("auto", "manual"))
    manual.load_state_dict(auto.state_dict())
    seen, weights = features(), torch.randn(sum(map(sum, lengths)), V).double()
    calls = []
    by_hand = Mock(side_effect=rnn_backward)
    monkeypatch.setattr("cutline.fast.recurrent.rnn_backward", by_hand)
    for decoder in (auto, manual):
        unrolled = unroll(decoder, seen, WORDS, torch.tensor(lengths))
        (decoder.project(unrolled.output) * weights).sum().backward()
        calls.append(by_hand.call_count)
    assert calls[0] == 0 < calls[1]
    for ours, theirs in zip(manual.parameters(), auto.parameters(), strict=True):
        assert ours.grad.abs().max() > 0
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10)


@CELLS
@pytest.mark.parametrize("layers", [1, 3])
def test_nic_reads_the_image_and_then_the_words(cell, layers):
    decoder = randomised(Nic(**SIZES, cell=cell, layers=layers))
    seen, cells = features(), [torch_cell(*decoder.lstm.stacked(n)) for n in range(layers)]
    _, scores = teacher_forced(decoder, seen)
    for b in range(2):
        states = [None] * layers

        def read(x: Tensor, states: list) -> Tensor:
            for n, layer in enumerate(cells):
                states[n] = layer(x, states[n])
                x = states[n][0]
            return x

        read(decoder.W_i.weight @ seen.pooled[b] + decoder.W_i.bias, states)
        for t, word in enumerate(WORDS[b, 0]):
            h = read(decoder.embed.weight[word], states)
            assert close(scores[b, t], decoder.W_v.weight @ h + decoder.W_v.bias)


def test_nic_never_sees_the_image_again():
    decoder = randomised(Nic(**SIZES))
    memory = decoder.prepare(features())
    state = decoder.start(memory)
    here = decoder.step(WORDS[:, 0, 0], state, memory)
    elsewhere = decoder.step(WORDS[:, 0, 0], state, decoder.prepare(features()))
    assert torch.equal(here.output, elsewhere.output)


# --- those that look before each word


@CELLS
def test_dot_looks_by_dot_products_over_the_projected_grid(cell):
    decoder = randomised(Dot(**SIZES, cell=cell))
    seen = features()
    unrolled, scores = teacher_forced(decoder, seen)
    if cell == "scratch":
        Wxa, Wh, b = decoder.scratch.stacked()
    else:
        Wxa, Wh, b = torch.cat([decoder.Wx, decoder.Wattn]), decoder.Wh, decoder.b
    lstm = torch_cell(Wxa, Wh, b)
    for n in range(2):
        grid = [decoder.W_p.weight @ a + decoder.W_p.bias for a in seen.grid[n]]
        h = c = sum(grid) / R
        for t, word in enumerate(WORDS[n, 0]):
            M = softmax([h @ a / H**0.5 for a in grid])
            x = torch.cat([decoder.embed.weight[word], weighted(M, torch.stack(grid))])
            h, c = lstm(x, (h, c))
            assert close(unrolled.attention[n, 0, t], M)
            assert close(scores[n, t], decoder.W_v.weight @ h + decoder.W_v.bias)


def test_dot_is_the_whole_sequence_function():
    decoder = randomised(Dot(**SIZES))
    seen = features()
    unrolled, _ = teacher_forced(decoder, seen)
    A = decoder.W_p(seen.grid).transpose(1, 2).view(2, H, 2, 2)
    x = decoder.embed(WORDS[:, 0])
    h = attention_lstm(x, A, decoder.Wx, decoder.Wh, decoder.Wattn, decoder.b)
    assert close(by_place(unrolled), h.flatten(0, 1))


@CELLS
def test_soft_is_show_attend_and_tell(cell):
    decoder = randomised(Soft(**SIZES, attention=A, cell=cell))
    seen, lstm = features(), torch_cell(*stacked(decoder))
    unrolled, scores = teacher_forced(decoder, seen)
    by_hand = []
    for b in range(2):
        a = seen.grid[b]
        mean = sum(a) / R
        h, c = torch.tanh(decoder.init_h(mean)), torch.tanh(decoder.init_c(mean))
        for t, word in enumerate(WORDS[b, 0]):
            alpha = looked_at(decoder, a, h)
            z = sigmoid(decoder.f_beta(h)) * weighted(alpha, a)
            y = decoder.embed.weight[word]
            h, c = lstm(torch.cat([y, z]), (h, c))
            expected = decoder.L_o(y + decoder.L_h(h) + decoder.L_z.weight @ z)
            assert close(unrolled.attention[b, 0, t], alpha)
            assert close(scores[b, t], expected)
            by_hand.append(expected)
    weights = list(decoder.init_h.parameters())  # what every path through time leads back to
    ours = torch.autograd.grad(scores.square().sum(), weights)
    theirs = torch.autograd.grad(torch.stack(by_hand).square().sum(), weights)
    for gradient, own in zip(ours, theirs, strict=True):
        assert torch.allclose(gradient, own, rtol=1e-9)


def looked_at(decoder: Soft, a: Tensor, h: Tensor) -> Tensor:
    return softmax([decoder.v @ torch.tanh(decoder.W_a(a_i) + h @ decoder.W_h) for a_i in a])


@CELLS
@pytest.mark.parametrize("inference", ["argmax", "expectation"])
def test_hard_is_soft_with_another_context_and_no_gate(cell, inference):
    decoder = randomised(Hard(**SIZES, attention=A, cell=cell, inference=inference))
    seen, lstm = features(), torch_cell(*stacked(decoder))
    unrolled, scores = teacher_forced(decoder, seen)
    assert unrolled.location is None
    for b in range(2):
        a = seen.grid[b]
        mean = sum(a) / R
        h, c = torch.tanh(decoder.init_h(mean)), torch.tanh(decoder.init_c(mean))
        for t, word in enumerate(WORDS[b, 0]):
            alpha = looked_at(decoder, a, h)
            z = a[int(alpha.argmax())] if inference == "argmax" else weighted(alpha, a)
            y = decoder.embed.weight[word]
            h, c = lstm(torch.cat([y, z]), (h, c))
            assert close(unrolled.attention[b, 0, t], alpha)
            assert close(scores[b, t], decoder.L_o(y + decoder.L_h(h) + decoder.L_z.weight @ z))


# --- those that look after each word


def test_the_sentinel_is_closed_for_a_share_of_the_words_that_training_reads():
    decoder = randomised(Adaptive(**SIZES, attention=A, sentinel_dropout=0.25))
    words, lengths = torch.randint(4, V, (2, 250, 8)), torch.full((2, 250), 8)
    seen = features()
    # captions that begin alike may share what is drawn
    closed = unroll(decoder.train(), seen, words, lengths).sentinel[:, :, 4:] == 0
    assert 0.22 < closed.double().mean() < 0.28
    assert not (unroll(decoder.eval(), seen, words, lengths).sentinel == 0).any()


@CELLS
@pytest.mark.parametrize("kind", [Spatial, Adaptive])
def test_spatial_and_adaptive_know_when_to_look(cell, kind):
    decoder = randomised(kind(**SIZES, attention=A, cell=cell))
    seen, lstm = features(), torch_cell(*decoder.lstm.stacked(0))
    unrolled, scores = teacher_forced(decoder, seen)
    for b in range(2):
        regions = torch.relu(torch.stack([decoder.W_a(a) for a in seen.grid[b]]))
        v_g = torch.relu(decoder.W_b(sum(seen.grid[b]) / R))
        h = m = torch.zeros(H).double()
        for t, word in enumerate(WORDS[b, 0]):
            x = torch.cat([decoder.embed.weight[word], v_g])
            before = h
            h, m = lstm(x, (h, m))
            g = h @ decoder.W_g
            z = [decoder.w_z @ torch.tanh(v @ decoder.W_v + g) for v in regions]
            alpha = softmax(z)
            context = weighted(alpha, regions)
            if kind is Adaptive:
                s = sigmoid(x @ decoder.W_x + before @ decoder.W_h) * torch.tanh(m)
                beta = softmax([*z, decoder.w_z @ torch.tanh(s @ decoder.W_s + g)])[R]
                context = beta * s + (1 - beta) * context
                alpha = (1 - beta) * alpha
                assert close(unrolled.sentinel[b, 0, t], beta)
            assert close(unrolled.attention[b, 0, t], alpha)
            assert close(scores[b, t], decoder.W_p.weight @ (context + h) + decoder.W_p.bias)
