"""Where captions look, against loops in numpy, PyTorch's distributions and finite differences."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from cutline.functional import (
    adaptive_attention,
    additive_attention,
    dot_product_attention,
    multinoulli,
    take_regions,
    visual_sentinel,
)
from support.oracles import draw

N, E, H, R, A, D = 6, 5, 4, 7, 3, 5
IMAGES = pytest.mark.parametrize("images", [1, 2, 3, N])


def numbers(*tensors: torch.Tensor) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in tensors]


def softmax(scores) -> np.ndarray:
    shares = np.exp(scores)
    return shares / shares.sum()


def ones(count: int) -> torch.Tensor:
    return torch.ones(count).double()


# --- dot products


@IMAGES
@pytest.mark.parametrize("grid", [(2, 2), (1, 1), (2, 3)])
def test_dot_product_attention_is_its_loop_however_many_captions_share_an_image(images, grid):
    h, A = draw(N, H), draw(images, H, *grid)
    context, weights = dot_product_attention(h, A)
    assert weights.shape == (N, *grid)
    for n in range(N):
        regions = A[n // (N // images)].reshape(H, -1).T.numpy()
        M = softmax([h[n].numpy() @ a / np.sqrt(H) for a in regions])
        assert weights[n].flatten().numpy() == pytest.approx(M, rel=1e-12)
        seen = sum(share * a for share, a in zip(M, regions, strict=True))
        assert context[n].numpy() == pytest.approx(seen, rel=1e-12, abs=1e-12)


def test_dot_product_attention_has_the_gradient_it_should():
    assert gradcheck(dot_product_attention, [draw(4, 2, grad=True), draw(2, 2, 2, 3, grad=True)])


def test_dot_products_of_any_size_do_not_overflow():
    context, weights = dot_product_attention(1e6 * draw(2, H), draw(2, H, 2, 2))
    assert context.isfinite().all()
    assert torch.allclose(weights.sum((1, 2)), ones(2))


# --- a small network


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
        alpha = softmax(e)
        weights.append(alpha)
        contexts.append(sum(alpha[r] * values[image][r] for r in range(R)))
    return np.stack(contexts), np.stack(weights)


@IMAGES
@pytest.mark.parametrize("masked", [False, True])
def test_additive_attention_is_its_loop_however_many_captions_share_an_image(images, masked):
    arguments = [draw(N, H), draw(images, R, A), draw(images, R, D), draw(H, A), draw(A)]
    mask = torch.rand(images, R) < 0.6 if masked else None
    if mask is not None:
        mask[:, 0] = True
    context, weights = additive_attention(*arguments, mask)
    expected = by_loop(*numbers(*arguments), mask)
    assert context.numpy() == pytest.approx(expected[0], rel=1e-12, abs=1e-12)
    assert weights.numpy() == pytest.approx(expected[1], rel=1e-12, abs=1e-12)


def test_attention_weights_sum_to_one_and_hidden_regions_get_none():
    mask = torch.ones(N, R, dtype=torch.bool)
    mask[:, 2] = False
    _, weights = additive_attention(
        draw(N, H), draw(N, R, A), draw(N, R, D), draw(H, A), draw(A), mask
    )
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(1), ones(N))
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
    assert torch.allclose(weights.sum(1), ones(2))


def test_additive_attention_has_the_gradient_it_should():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    arguments = [draw(4, 2, grad=True), draw(2, 3, 2, grad=True), draw(2, 3, 2, grad=True)]
    weights = [draw(2, 2, grad=True), draw(2, grad=True)]
    assert gradcheck(additive_attention, [*arguments, *weights, mask])


# --- one region


@IMAGES
def test_looking_at_one_region_is_looking_with_all_the_weight_on_it(images):
    values, region = draw(images, R, D), torch.randint(R, (N,))
    one_hot = torch.eye(R).double()[region].view(images, -1, R)
    assert torch.equal(take_regions(values, region), (one_hot @ values).flatten(0, 1))


def test_log_probability_and_entropy_are_those_of_a_categorical_distribution():
    weights, region = draw(N, R).softmax(1), torch.randint(R, (N,))
    theirs = torch.distributions.Categorical(weights)
    log_prob, entropy = multinoulli(weights, region)
    assert torch.allclose(log_prob, theirs.log_prob(region), atol=1e-12)
    assert torch.allclose(entropy, theirs.entropy(), atol=1e-12)


def test_the_multinoulli_has_the_gradient_it_should():
    region = torch.tensor([0, 2, 1])
    assert gradcheck(lambda e: multinoulli(e.softmax(1), region), [draw(3, 3, grad=True)])


def test_weights_that_underflow_leave_the_gradient_finite():
    scores = torch.tensor([[0.0, -1e4, -1e4]], requires_grad=True)
    log_prob, entropy = multinoulli(scores.softmax(1), torch.tensor([0]))
    assert log_prob == entropy == 0
    (gradient,) = torch.autograd.grad((log_prob + entropy).sum(), scores)
    assert gradient.isfinite().all()


# --- the sentinel


def test_a_sentinel_is_its_equations():
    x, h, m, Wx, Wh = arguments = draw(N, E), draw(N, H), draw(N, H), draw(E, H), draw(H, H)
    x, h, m, Wx, Wh = numbers(*arguments)
    gate = 1 / (1 + np.exp(-(x @ Wx + h @ Wh)))
    assert visual_sentinel(*arguments).numpy() == pytest.approx(gate * np.tanh(m), rel=1e-12)


@IMAGES
def test_adaptive_attention_is_its_equations_however_many_captions_share_an_image(images):
    arguments = draw(N, H), draw(N, H), draw(images, R, A), draw(images, R, H)
    Wg, Ws, w = draw(H, A), draw(H, A), draw(A)
    context, weights, beta = adaptive_attention(*arguments, Wg, Ws, w)
    h, s, keys, values = numbers(*arguments)
    looked, alpha = by_loop(h, keys, values, Wg.numpy(), w.numpy())
    for n in range(N):
        key = keys[n // (N // images)]
        z = [w.numpy() @ np.tanh(key[r] + h[n] @ Wg.numpy()) for r in range(R)]
        away = w.numpy() @ np.tanh(s[n] @ Ws.numpy() + h[n] @ Wg.numpy())
        share = softmax([*z, away])[R]
        assert float(beta[n]) == pytest.approx(share, rel=1e-12)
        mixed = share * s[n] + (1 - share) * looked[n]
        assert context[n].numpy() == pytest.approx(mixed, rel=1e-12, abs=1e-12)
        assert weights[n].numpy() == pytest.approx((1 - share) * alpha[n], rel=1e-12)


def test_what_the_sentinel_leaves_is_what_the_regions_get():
    arguments = [draw(*shape) for shape in ((N, H), (N, H), (2, R, A), (2, R, H), (H, A), (H, A))]
    _, weights, beta = adaptive_attention(*arguments, 30 * draw(A))
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(1), 1 - beta)


def test_where_the_sentinel_is_closed_only_regions_are_looked_at():
    h, s, keys, values = draw(N, H), draw(N, H), draw(2, R, A), draw(2, R, H)
    Wg, Ws, w = draw(H, A), draw(H, A), draw(A)
    closed = torch.arange(N) % 2 == 0
    context, weights, beta = adaptive_attention(h, s, keys, values, Wg, Ws, w, closed)
    spatial, alpha = additive_attention(h, keys, values, Wg, w)
    open_context, _, open_beta = adaptive_attention(h, s, keys, values, Wg, Ws, w)
    assert torch.allclose(context[closed], spatial[closed])
    assert torch.allclose(weights[closed], alpha[closed])
    assert (beta[closed] == 0).all()
    assert torch.equal(context[~closed], open_context[~closed])
    assert torch.equal(beta[~closed], open_beta[~closed])


def test_adaptive_attention_has_the_gradient_it_should():
    shapes = (4, 2), (4, 2), (2, 3, 2), (2, 3, 2), (2, 2), (2, 2), (2,)
    assert gradcheck(adaptive_attention, [draw(*shape, grad=True) for shape in shapes])
    shapes = (4, 3), (4, 2), (4, 2), (3, 2), (2, 2)
    assert gradcheck(visual_sentinel, [draw(*shape, grad=True) for shape in shapes])


# --- types


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_float_type_goes_and_stays(dtype):
    def some(*shape: int) -> torch.Tensor:
        return draw(*shape).to(dtype)

    h, keys = some(N, H), some(2, R, A)
    context, weights = additive_attention(h, keys, some(2, R, D), some(H, A), some(A))
    results = [
        context,
        weights,
        *dot_product_attention(h, some(2, H, 2, 2)),
        *adaptive_attention(h, h, keys, some(2, R, H), some(H, A), some(H, A), some(A)),
        visual_sentinel(some(N, E), h, h, some(E, H), some(H, H)),
        take_regions(keys, torch.zeros(N, dtype=torch.long)),
        *multinoulli(weights, torch.zeros(N, dtype=torch.long)),
    ]
    assert all(result.dtype == dtype for result in results)
