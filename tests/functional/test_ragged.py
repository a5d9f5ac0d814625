"""Where images have different numbers of captions, attention is what it is one by one."""

import pytest
import torch
from torch import Tensor

from cutline.functional import additive_attention, prepare_keys
from cutline.functional.ragged import ragged_contexts, ragged_weights

R, A, D, H = 7, 6, 5, 4


def one_by_one(
    query: Tensor, keys: Tensor, grid: Tensor, v: Tensor, counts: list[int]
) -> tuple[Tensor, Tensor]:
    image = torch.arange(len(grid)).repeat_interleave(torch.tensor(counts))
    same = torch.eye(A, dtype=query.dtype)
    return additive_attention(query, keys[image], grid[image], same, v)


@pytest.mark.parametrize("counts", [[1, 3, 2], [1, 1, 1], [2, 2, 2], [5]])
@pytest.mark.parametrize("scale", [0.1, 30.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_and_contexts_are_those_of_each_caption_alone(counts, scale, dtype):
    images = len(counts)
    query, v = scale * torch.randn(sum(counts), A, dtype=dtype), torch.randn(A, dtype=dtype)
    keys = scale * torch.randn(images, R, A, dtype=dtype)
    grid = torch.randn(images, R, D, dtype=dtype)
    contexts, weights = one_by_one(query, keys, grid, v, counts)
    found = ragged_weights(query, prepare_keys(keys), v, counts)
    assert torch.allclose(found, weights, atol=1e-5)
    assert torch.allclose(ragged_contexts(found, grid, counts), contexts, atol=1e-5)


@pytest.mark.parametrize("counts", [[1, 3, 2], [2, 2, 2]])
def test_contexts_in_bfloat16_differ_by_rounding_only(counts: list[int]):
    alpha, grid = torch.rand(6, R).softmax(1), torch.randn(3, R, D)
    found = ragged_contexts(alpha, grid.bfloat16(), counts)
    assert found.dtype == torch.bfloat16
    wanted = ragged_contexts(alpha, grid, counts)
    assert 0 < (found.float() - wanted).abs().max() < 0.02
