"""Captions read in one go: in which order, and in mixed precision nearly what the steps say."""

import pytest
import torch
from torch import Tensor

from cutline.decoders import Hard, Soft, Unrolled, unroll
from cutline.functional import Features
from cutline.functional.order import Order
from cutline.functional.products import has

LENGTHS = torch.tensor([[2, 3, 0], [0, 0, 0], [4, 0, 1]])


def test_words_are_read_by_step_and_within_a_step_by_caption():
    order = Order(LENGTHS)
    assert order.caption.tolist() == [0, 1, 6, 8, 0, 1, 6, 1, 6, 6]
    assert order.step.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert order.places(5)[:6].tolist() == [0, 5, 30, 40, 1, 6]


def test_an_image_looks_once_before_its_first_words():
    first, second, third, _ = Order(LENGTHS).readings
    assert first.looks == slice(0, 3)
    assert first.words == slice(0, 4)
    assert first.like is not None
    assert first.like.tolist() == [0, 0, 2, 2]
    assert second.looks == slice(3, 6)
    assert second.like is None
    assert second.stay is not None
    assert second.stay.tolist() == [0, 1, 2]
    assert third.stay is not None
    assert third.stay.tolist() == [1, 2]
    assert Order(LENGTHS).looks.tolist() == [0, 0, 2, 2, 3, 4, 5, 6, 7, 8]


def test_rows_go_to_the_block_and_back():
    second = Order(LENGTHS).readings[1]
    rows = torch.arange(1.0, 4).unsqueeze(1)
    block = second.spread(rows)
    assert block[:, :, 0].tolist() == [[1, 2], [0, 0], [3, 0]]
    assert torch.equal(second.gather(block), rows)
    assert second.remain_back(rows).flatten().tolist() == [1, 2, 3, 0]


def test_where_looks_are_drawn_each_caption_has_its_own():
    first, second, *_ = Order(LENGTHS, drawn=True).readings
    assert first.looks == first.words == slice(0, 4)
    assert first.like is None
    assert first.remain(torch.tensor([7, 8, 9])).tolist() == [7, 7, 9, 9]
    assert first.remain_back(torch.ones(4)).tolist() == [2, 0, 2]
    assert first.spread(torch.arange(1, 5)).tolist() == [[1, 2, 0], [0, 0, 0], [3, 0, 4]]
    assert second.looks == second.words == slice(4, 7)
    assert Order(LENGTHS, drawn=True).looks.tolist() == list(range(10))


@pytest.mark.parametrize("expectation", [0.0, 1.0])
def test_drawn_places_in_one_go_are_those_of_the_steps(monkeypatch, expectation: float):
    torch.manual_seed(0)
    hard = Hard(
        vocabulary_size=30,
        feature_size=7,
        embedding=5,
        hidden=6,
        attention=4,
        dropout=0.0,
        expectation=expectation,
    ).double()
    monkeypatch.setattr(hard, "_draw", lambda alpha: alpha.argmax(1))
    grid = torch.rand(3, 6, 7).double().requires_grad_()
    features = Features(grid, grid.mean(1), 2, 3)
    words = torch.randint(4, 30, (3, 3, 4))

    def result() -> tuple[Unrolled, tuple[Tensor, ...]]:
        unrolled = unroll(hard.train(), features, words, LENGTHS)
        assert unrolled.location is not None
        loss = hard.project(unrolled.output).square().sum()
        loss = loss + unrolled.location.log_prob.sum() + unrolled.location.entropy.square().sum()
        return unrolled, torch.autograd.grad(loss, [grid, *hard.parameters()])

    (whole, felt), _ = result(), monkeypatch.setattr(hard, "run", lambda *_: None)
    steps, felt_by_steps = result()
    assert whole.location is not None
    assert steps.location is not None
    assert (whole.location.region >= 0).all() == (expectation == 0)
    assert torch.equal(whole.location.region, steps.location.region)
    for ours, theirs in zip(
        (whole.output, whole.attention, *whole.location, *felt),
        (steps.output, steps.attention, *steps.location, *felt_by_steps),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.skipif(not has("bfloat16"), reason="this CPU is not fast in bfloat16")
def test_mixed_precision_has_nearly_the_gradient_of_single_precision():
    torch.manual_seed(0)
    soft = Soft(
        vocabulary_size=30, feature_size=32, embedding=16, hidden=24, attention=20, dropout=0.0
    )
    grid = torch.rand(3, 6, 32)
    features = Features(grid, grid.mean(1), 2, 3)
    words = torch.randint(4, 30, (3, 3, 4))

    def gradients(mixed: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            unrolled = unroll(soft, features, words, LENGTHS)
            loss = soft.project(unrolled.output).float().square().mean()
        parameters = [p for name, p in soft.named_parameters()]
        return list(torch.autograd.grad(loss, parameters))

    for rough, right in zip(gradients(True), gradients(False), strict=True):
        assert rough.dtype == right.dtype == torch.float32
        assert 0 < (rough - right).norm() < 0.05 * right.norm()
