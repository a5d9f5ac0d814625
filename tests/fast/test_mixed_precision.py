"""In mixed precision whole captions have nearly the gradient of single precision."""

import pytest
import torch
from torch import Tensor

from cutline.fast import unroll
from cutline.fast.products import mixed_dtype, supports
from cutline.functional import Features
from support.suite import R, V, registered


@pytest.mark.skipif(not supports("bfloat16"), reason="this CPU is not fast in bfloat16")
@pytest.mark.parametrize("name", ["soft", "nic", "spatial", "adaptive"])
def test_gradients_in_bfloat16_are_near_and_in_single_precision(name: str):
    torch.manual_seed(0)
    decoder = registered(name)(
        sizes={"embedding": 16, "hidden": 24, "attention": 20}, feature_size=32
    )
    grid = torch.rand(3, R, 32)
    features = Features(grid, grid.mean(1), 2, 3)
    words = torch.randint(4, V, (3, 3, 4))
    lengths = torch.tensor([[2, 3, 0], [0, 0, 0], [4, 0, 1]])

    def gradients(mixed: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            assert (mixed_dtype("cpu") is not None) == mixed
            unrolled = unroll(decoder, features, words, lengths)
            loss = decoder.project(unrolled.output).float().square().mean()
        return list(torch.autograd.grad(loss, list(decoder.parameters())))

    for rough, right in zip(gradients(True), gradients(False), strict=True):
        assert rough.dtype == right.dtype == torch.float32
        assert (rough - right).norm() < 0.05 * right.norm()
