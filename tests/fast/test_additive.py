"""Scores without a tanh are those with one: near and far from zero, there and back."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from cutline import functional
from cutline.fast import additive
from cutline.fast.additive import Keys, prepare_keys

B, K, R, A = 5, 3, 7, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def arguments(scale: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    shapes = (B * K, A), (B, R, A), (A,)
    made = (scale * torch.randn(*shape, dtype=dtype) for shape in shapes)
    return tuple(tensor.requires_grad_() for tensor in made)


def additive_scores(query: Tensor, keys: Tensor | Keys, v: Tensor) -> Tensor:
    keys = keys if isinstance(keys, Keys) else prepare_keys(keys)
    return additive.additive_scores(query, keys, v)


@pytest.mark.parametrize("chunk", [1, 2 * K * R * A, 1 << 18])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_scores_and_gradients_are_those_of_tanh(monkeypatch, chunk: int, scale: float):
    monkeypatch.setattr(additive, "CHUNK", chunk)
    given = arguments(scale)
    grad = torch.randn(B, K, R, dtype=torch.float64)
    found, wanted = additive_scores(*given), functional.additive_scores(*given)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12 * scale)
    for ours, theirs in zip(
        torch.autograd.grad(found, given, grad),
        torch.autograd.grad(wanted, given, grad),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_the_gradient_is_that_of_finite_differences():
    assert gradcheck(additive_scores, arguments())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_however_far_from_zero_nothing_overflows(dtype):
    query = torch.tensor([[300.0, -300.0, 60.0, -60.0]], dtype=dtype, requires_grad=True)
    keys = torch.tensor([[[300.0, -300.0, -60.0, 0.0]]], dtype=dtype, requires_grad=True)
    v = torch.ones(4, dtype=dtype, requires_grad=True)
    scores = additive_scores(query, keys, v)
    assert scores.dtype == dtype
    assert scores.item() == pytest.approx(1 - 1 + 0 - 1, abs=1e-2)
    gradients = torch.autograd.grad(scores.sum(), (query, keys, v))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].tolist()[0] == pytest.approx([0, 0, 1, 0], abs=1e-2)


def test_single_precision_keeps_its_digits():
    given = arguments(3.0, torch.float32)
    exact = functional.additive_scores(*(tensor.double() for tensor in given))
    assert (additive_scores(*given) - exact).abs().max() < 5e-6


def test_prepared_keys_are_keys():
    query, keys, v = arguments()
    prepared = prepare_keys(keys)
    assert torch.equal(additive_scores(query, prepared, v), additive_scores(query, keys, v))
    (through,) = torch.autograd.grad(additive_scores(query, prepared, v).sum(), keys)
    assert through.abs().max() > 0
    assert not prepared.exponential.requires_grad
