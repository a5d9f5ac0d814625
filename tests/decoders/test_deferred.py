"""Gradients computed once for a whole caption are those that autograd adds up step by step."""

import sys
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from cutline.decoders import Decoder, Hard, Soft, unroll
from cutline.decoders.deferred import Going
from cutline.decoders.registry import _DECODERS
from cutline.functional import Features
from support.suite import UNSORTED, V, some_captions, some_features

NAMES = ["dot", "soft", "hard", "spatial", "adaptive"]


def build(name: str, **fields: Any) -> Decoder:
    torch.manual_seed(0)
    decoder = _DECODERS[name](
        vocabulary_size=V, feature_size=7, embedding=5, hidden=6, dropout=0.3, **fields
    )
    return decoder.double().train()


@pytest.fixture(autouse=True)
def _by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Soft, Hard):
        monkeypatch.setattr(kind, "run", lambda *_: None)


def gradients(decoder: Decoder, features: Features) -> dict[str, Tensor]:
    torch.manual_seed(1)
    words, lengths = some_captions(UNSORTED)
    unrolled = unroll(decoder, features, words, lengths)
    felt = torch.randn(len(unrolled.output), V, dtype=torch.float64)
    decoder.zero_grad()
    (decoder.project(unrolled.output) * felt).sum().backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in decoder.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("cell", ["fused", "scratch"])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_are_those_of_autograd(monkeypatch, name: str, cell: str):
    decoder = build(name, cell=cell)
    ours = gradients(decoder, some_features(4))
    module = sys.modules["cutline.decoders.unroll"]  # the package has a function of that name
    monkeypatch.setattr(module, "deferred_gradients", lambda _: nullcontext(Going()))
    theirs = gradients(decoder, some_features(4))
    assert ours.keys() == theirs.keys()
    for key, gradient in theirs.items():
        assert torch.allclose(ours[key], gradient, rtol=1e-10, atol=1e-12), key
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_captions_that_have_ended_are_not_multiplied(monkeypatch, name: str):
    seen: dict[int, int] = {}

    def counting(weight: Tensor, *, dtype: Any) -> Any:
        def product(x: Tensor) -> Tensor:
            seen[id(weight)] = seen.get(id(weight), 0) + len(x)
            return x @ weight.t()

        return product

    monkeypatch.setattr("cutline.decoders.deferred.lay_out", counting)
    decoder = build(name)
    words, lengths = some_captions(UNSORTED)
    unrolled = unroll(decoder, some_features(4), words, lengths)
    assert set(seen.values()) == {int(lengths.sum())}
    unrolled.output.sum().backward()
    assert max(seen.values()) == int(lengths.sum())  # a first state may be nobody's gradient


def test_nothing_is_left_in_the_decoder_whatever_happens(monkeypatch):
    decoder = build("soft")
    before = {name: module.__dict__.keys() for name, module in decoder.named_modules()}
    words, lengths = some_captions(UNSORTED)
    unroll(decoder, some_features(4), words, lengths)
    monkeypatch.setattr(decoder, "_look", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        unroll(decoder, some_features(4), words, lengths)
    monkeypatch.undo()
    assert before == {name: module.__dict__.keys() for name, module in decoder.named_modules()}
    assert isinstance(decoder.Wx, torch.nn.Parameter)


def test_the_way_back_may_be_gone_twice():
    decoder = build("soft")
    words, lengths = some_captions(UNSORTED)
    value = decoder.project(unroll(decoder, some_features(4), words, lengths).output).square().sum()
    once, twice = (
        torch.autograd.grad(value, [decoder.Wx, decoder.embed.weight], retain_graph=True)
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_without_gradients_nothing_stands_in():
    decoder = build("soft").eval()
    words, lengths = some_captions(UNSORTED)
    with torch.no_grad():
        assert not unroll(decoder, some_features(4), words, lengths).output.requires_grad


def test_mixed_precision_is_left_to_autograd():
    decoder = build("soft").float()
    words, lengths = some_captions(UNSORTED)
    grid = some_features(4).grid.float()
    features = Features(grid, grid.mean(1), 2, grid.shape[1] // 2)
    with torch.autocast("cpu", torch.bfloat16):
        output = unroll(decoder, features, words, lengths).output
    output.float().sum().backward()
    assert decoder.Wx.grad is not None
