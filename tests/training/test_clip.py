"""A gradient that is too long is shortened; another is left as it is."""

import pytest
import torch
from torch import nn

from cutline.training.clip import clip_gradient


def felt(*gradients: list[float] | None) -> list[nn.Parameter]:
    parameters = []
    for gradient in gradients:
        parameters.append(nn.Parameter(torch.zeros(2)))
        parameters[-1].grad = None if gradient is None else torch.tensor(gradient)
    return parameters


def test_a_long_one_is_shortened_as_torch_does_it():
    ours, theirs = felt([3.0, 0.0], None, [0.0, 4.0]), felt([3.0, 0.0], None, [0.0, 4.0])
    clip_gradient(iter(ours), 2.0)
    nn.utils.clip_grad_norm_(theirs, 2.0)
    for our, their in zip(ours, theirs, strict=True):
        assert (our.grad is None) == (their.grad is None)
        assert our.grad is None or torch.equal(our.grad, their.grad)
    assert ours[0].grad.tolist() == pytest.approx([1.2, 0.0], rel=1e-5)


def test_what_is_no_number_is_told_to_all():
    lost, far = felt([float("nan"), 1.0], [100.0, 1.0])
    clip_gradient([lost, far], 5.0)
    assert far.grad.isnan().all()


def test_a_short_one_is_left_as_it_is():
    (short,) = felt([0.1, 0.2])
    for largest in (1.0, float("inf")):
        clip_gradient([short], largest)
        assert torch.equal(short.grad, torch.tensor([0.1, 0.2]))
