"""Captions read in one go: in which order, and in mixed precision nearly what the steps say."""

import pytest
import torch
from torch import Tensor

from cutline.decoders import Hard, Soft, Unrolled, unroll
from cutline.functional import Features
from cutline.functional.order import Order
from cutline.functional.products import has

LENGTHS = torch.tensor([[2, 3, 0], [0, 0, 0], [4, 0, 1]])
# of the first image both begin with a b, of the last one ends where the other goes on
WORDS = torch.tensor(
    [[1, 7, 0, 0], [1, 7, 9, 0], [0] * 4, *[[0] * 4] * 3, [1, 5, 6, 5], [0] * 4, [1, 0, 0, 0]]
)


def test_captions_that_begin_alike_are_read_once_until_they_part():
    order = Order(LENGTHS, WORDS)
    assert order.step.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert order.caption.tolist() == [0, 1, 6, 8, 0, 1, 6, 1, 6, 6]
    assert order.prefix.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]
    assert order.first.tolist() == [0, 2, 4, 6, 7, 8, 9]
    assert order.look.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert order.came.tolist() == [0, 2, 3, 4, 5, 6, 8]
    assert order.ending(WORDS).tolist() == [1, 1, 7, 5, 9, 6, 5]
    assert order.places(5)[:6].tolist() == [0, 5, 30, 40, 1, 6]


def test_where_captions_part_both_have_the_look_before():
    words = WORDS.clone()
    words[1, 1] = 8
    order = Order(LENGTHS, words)
    first, second, third, _ = order.readings
    assert (first.looks, first.prefixes) == (slice(0, 2), slice(0, 2))
    assert first.remain(torch.tensor([7, 8, 9])).tolist() == [7, 9]
    assert (second.looks, second.prefixes) == (slice(2, 4), slice(2, 5))
    assert second.stay is None
    assert second.share(torch.tensor([7, 8])).tolist() == [7, 7, 8]
    assert second.share_back(torch.ones(3)).tolist() == [2, 1]
    assert third.remain(torch.tensor([7, 8, 9])).tolist() == [8, 9]
    assert third.remain_back(torch.ones(2)).tolist() == [0, 1, 1]
    assert order.look.tolist() == [0, 1, 2, 2, 3, 4, 5, 6]


def test_rows_go_to_the_block_and_back():
    third = Order(LENGTHS, WORDS).readings[2]
    rows = torch.arange(1.0, 3).unsqueeze(1)
    block = third.spread(rows)
    assert block[:, :, 0].tolist() == [[1], [0], [2]]
    assert torch.equal(third.gather(block), rows)


def test_captions_can_each_be_read_by_themselves():
    order = Order(LENGTHS, WORDS, alone=torch.ones(9, dtype=torch.bool))
    first, second, *_ = order.readings
    assert first.looks == first.prefixes == slice(0, 4)
    assert first.like is None
    assert first.remain(torch.tensor([7, 8, 9])).tolist() == [7, 7, 9, 9]
    assert first.remain_back(torch.ones(4)).tolist() == [2, 0, 2]
    assert first.spread(torch.arange(1, 5)).tolist() == [[1, 2], [0, 0], [3, 4]]
    assert second.looks == second.prefixes == slice(4, 7)
    assert order.look.tolist() == order.prefix.tolist() == list(range(10))
    assert order.image.tolist() == [0, 0, 2, 2, 0, 0, 2, 0, 2, 2]
    assert order.alone.all()


def test_or_some_of_them_while_others_share():
    words = torch.tensor([[1, 7, 9], [1, 7, 9], [1, 7, 8], [1, 7, 9]])
    order = Order(torch.tensor([[3, 3, 3, 3]]), words, alone=torch.arange(4) == 1)
    first, second, _ = order.readings
    assert first.remain(torch.tensor([7])).tolist() == [7, 7]
    assert first.share(torch.tensor([7, 8])).tolist() == [7, 8]
    assert (second.looks, second.prefixes) == (slice(2, 4), slice(2, 4))
    assert order.alone.tolist() == [False, True] * 3
    assert order.prefix[order.caption == 1].tolist() == [1, 3, 6]
    assert [order.prefix[order.caption == n].tolist() for n in (0, 3)] == [[0, 2, 5]] * 2
    assert order.prefix[order.caption == 2].tolist() == [0, 2, 4]


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
    words[:, :, 0] = 1
    words[0, 1] = words[0, 0]

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
    assert len(whole.distinct) == (10 if expectation == 0 else 7)
    by_place = [each.places.argsort() for each in (whole, steps)]
    for ours, theirs in zip(
        *(
            (each.output[order], *(of[order] for of in each.location), each.attention)
            for each, order in zip((whole, steps), by_place, strict=True)
        ),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)
    for ours, theirs in zip(felt, felt_by_steps, strict=True):
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
