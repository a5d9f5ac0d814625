"""What can be said of a GPU where there is none: tensors that have a shape, a type and a device.

PyTorch refuses, for these, whatever would have to wait for a number.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cutline.decoders import Decoder
from cutline.decoders.registry import _DECODERS
from cutline.fast import unroll
from cutline.functional import Features
from support.suite import R, V

LENGTHS = torch.tensor([[5, 3], [2, 0]])


@pytest.mark.parametrize("name", ["soft", "hard", "dot", "spatial", "adaptive"])
def test_captions_are_read_there_and_waited_for_at_the_end(name: str):
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        decoder: Decoder = _DECODERS[name](
            vocabulary_size=V, feature_size=8, embedding=8, hidden=8
        ).train()
        grid = torch.rand(2, R, 8)
        words = torch.randint(4, V, (2, 2, 6))
        unrolled = unroll(decoder, Features(grid, grid.mean(1), 1, R), words, LENGTHS)
        scores = decoder.project(unrolled.output)
    assert scores.shape == (10, V)
    assert unrolled.attention is not None
    assert unrolled.attention.shape == (2, 2, 5, R)
    for each in (scores, unrolled.attention, unrolled.places):
        assert each.device.type == "cuda"
