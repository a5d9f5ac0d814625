"""Weights on disk: as they are, in half precision, as bytes."""

import pytest
import torch

from cutline.captioner.storage import restore, squeeze

TENSORS = {
    "map.weight": torch.randn(30, 40, generator=torch.Generator().manual_seed(0)),
    "convolution.weight": 1e-3
    * torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1)),
    "nothing.weight": torch.zeros(3, 5),
    "norm.running_var": torch.tensor([1e6, 3e-9]),
    "norm.num_batches_tracked": torch.tensor(17),
}
WORST = {"float32": 0.0, "float16": 2**-11, "int8": 0.51 / 127}


def size(tensors: dict[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@pytest.mark.parametrize("storage", WORST)
def test_what_comes_back_is_what_went_in_but_for_rounding(storage):
    found = restore(squeeze(TENSORS, storage))
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        back = found[name]
        assert (back.shape, back.dtype) == (tensor.shape, tensor.dtype)
        if tensor.ndim < 2:
            assert torch.equal(back, tensor)
            continue
        largest = tensor.flatten(1).abs().amax(1)
        error = (back - tensor).flatten(1).abs().amax(1)
        assert (error <= WORST[storage] * largest + 1e-7).all()


def test_each_is_smaller_than_the_one_before():
    sizes = [size(squeeze(TENSORS, storage)) for storage in WORST]
    assert sizes[0] == size(TENSORS)
    assert sizes[1] < 0.51 * sizes[0]
    assert sizes[2] < 0.36 * sizes[0]


@pytest.mark.parametrize("storage", WORST)
def test_rounding_again_changes_nothing(storage):
    once = restore(squeeze(TENSORS, storage))
    twice = restore(squeeze(once, storage))
    assert all(torch.allclose(once[name], twice[name], rtol=1e-6, atol=0) for name in once)
