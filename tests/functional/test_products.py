"""A linear map on its own, in single precision and in mixed."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional.products import linear, mixed_dtype


def some() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(*shape, requires_grad=True) for shape in ((7, 5), (11, 5), (11,)))


def results(multiply, given: tuple[Tensor, ...], mixed: bool) -> list[Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = multiply(*given)
    return [y, *torch.autograd.grad(y.float().square().sum(), given)]


@pytest.mark.parametrize("mixed", [False, True])
def test_it_is_pytorchs_with_its_gradient(mixed: bool):
    given = some()
    near = 0.03 if mixed else 1e-6
    for ours, theirs in zip(
        results(linear, given, mixed), results(F.linear, given, mixed), strict=True
    ):
        assert ours.dtype == theirs.dtype
        assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < near


def test_in_mixed_precision_products_are_in_bfloat16():
    with torch.autocast("cpu", torch.bfloat16):
        if mixed_dtype("cpu") is None:
            pytest.skip("this CPU has no fast bfloat16")
        assert linear(*some()).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_other_types_stay(kind: torch.dtype):
    given = [each.detach().to(kind) for each in some()]
    assert torch.equal(linear(*given), F.linear(*given))
