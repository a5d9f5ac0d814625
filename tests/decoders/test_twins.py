"""What captions of one parent see is made once, and every one of them has it."""

import pytest
import torch
from suite import V, some_features
from torch import Tensor

from cutline.decoders import Soft, pack
from cutline.decoders.contract import take_rows
from cutline.decoders.ready_soft import ReadySoft
from cutline.decoders.twins import find_twins


def test_twins_are_rows_of_one_image_with_the_same_parent():
    twins = find_twins(torch.tensor([4, 4, 0, 1, 3, 1, 5, 5, 5]), images=3)
    assert twins.counts == [2, 2, 1]
    assert twins.first is not None
    assert twins.like is not None
    assert twins.first.tolist() == [0, 2, 3, 4, 6]
    assert twins.like.tolist() == [0, 0, 1, 2, 3, 2, 4, 4, 4]
    rows = torch.arange(9)
    assert twins.choose(rows).tolist() == [0, 2, 3, 4, 6]
    assert twins.spread(twins.choose(rows)).tolist() == [0, 0, 2, 3, 4, 3, 6, 6, 6]


def test_numbers_that_agree_across_images_are_no_twins():
    assert find_twins(torch.tensor([0, 1, 0, 1]), images=2).counts == [2, 2]


def test_where_all_differ_nothing_is_copied():
    twins = find_twins(torch.tensor([3, 2, 0, 1]), images=2)
    rows = torch.rand(4, 2)
    assert twins.choose(rows) is rows
    assert twins.spread(rows) is rows


class Looking(ReadySoft):
    """Counts the captions that look."""

    looked: list[int]

    def _look(self, h: Tensor, memory, counts: list[int]) -> tuple[Tensor, Tensor]:
        self.looked.append(len(h))
        return super()._look(h, memory, counts)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("parents", "different"), [([2, 0, 2, 3, 3, 3, 8, 7, 6], 6), ([0, 1, 2, 4, 3, 5, 8, 7, 6], 9)]
)
def test_packed_soft_looks_once_for_twins_and_says_what_soft_says(parents, different):
    torch.manual_seed(0)
    soft = Soft(vocabulary_size=V, feature_size=7, embedding=12, hidden=16).eval()
    packed = pack(soft)
    packed.__class__ = Looking
    packed.looked = []
    seen = some_features(3)
    features = seen._replace(grid=seen.grid.float(), pooled=seen.pooled.float())
    steps = []
    for decoder in (soft, packed):
        memory = decoder.prepare(features)
        thrice = torch.arange(3).repeat_interleave(3)
        state = take_rows(decoder.start(memory), thrice)
        state = decoder.step(torch.tensor([4, 5, 6] * 3), state, memory).state
        state = take_rows(state, torch.tensor(parents))
        step = decoder.step(torch.tensor([5, 6, 7, 4, 4, 5, 6, 6, 6]), state, memory)
        steps.append((step.output, step.state.h, step.state.c, step.attention))
    assert packed.looked == [3, different]
    for found, wanted in zip(steps[1], steps[0], strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)
