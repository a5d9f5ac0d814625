"""Additive attention of captions that are not as many for each image; without a gradient.

Shapes: `B` images, `M` captions in all, an image's together, `R` regions, `D` feature size, `A`
attention size.
"""

import ctypes
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional.additive import Keys, exponential_of
from cutline.native import native_library

__all__ = ["ragged_attention", "ragged_contexts", "ragged_weights", "use_native"]

SOURCE = Path(__file__).with_name("attend.cpp")
THREADS = 3  # with more of them PyTorch's passes take less time than one loop on one
REGIONS = (torch.float32, torch.bfloat16)
POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64


class _Native:
    """The library of `attend.cpp`: whether it was asked for, and what came of it."""

    asked = False
    library: ctypes.CDLL | None = None


def use_native(folder: Path) -> bool:
    """Let attention be one loop in C++ from now on, whose library `folder` keeps; say if it is."""
    if not _Native.asked and torch.get_num_threads() <= THREADS:
        _Native.asked = True
        _Native.library = native_library(SOURCE, folder)
    return _Native.library is not None


def ragged_attention(
    query: Tensor, keys: Keys, v: Tensor, grid: Tensor, counts: list[int]
) -> tuple[Tensor, Tensor]:
    """Look at an image's regions for its captions: `ragged_weights`, then `ragged_contexts`.

    Args:
        query: projected hidden states, (M, A).
        keys: of `B` images.
        v: (A,).
        grid: the regions, (B, R, D).
        counts: how many captions each image has, `B` numbers whose sum is `M`.

    Returns:
        The weights (M, R) and the contexts (M, D).
    """
    if not _is_for_native(query, keys.exponential, v, grid, counts):
        alpha = ragged_weights(query, keys, v, counts)
        return alpha, ragged_contexts(alpha, grid, counts)
    attend = getattr(_Native.library, f"attend_{str(grid.dtype).removeprefix('torch.')}")
    images, regions, size = grid.shape
    # by name, so that they are there until the call is over
    read = (keys.exponential, exponential_of(query).contiguous(), v * -2, grid)
    made = query.new_empty(len(query), regions), query.new_empty(len(query), size)
    attend(
        *(POINTER(each.data_ptr()) for each in read),
        (SIZE * images)(*counts),
        *map(SIZE, (images, regions, len(v), size)),
        *(POINTER(each.data_ptr()) for each in made),
    )
    return made


def _is_for_native(
    query: Tensor, known: Tensor, v: Tensor, grid: Tensor, counts: list[int]
) -> bool:
    """Say whether the loop can do it, and takes less time: it trusts what it is given."""
    if _Native.library is None or torch.get_num_threads() > THREADS:
        return False
    single = all(each.dtype == torch.float32 for each in (query, known, v))
    here = all(each.device.type == "cpu" and each.is_contiguous() for each in (known, v, grid))
    fits = sum(counts) == len(query) and len(counts) == len(grid) and grid.shape[1] > 0
    learns = torch.is_grad_enabled() and query.requires_grad
    return single and here and fits and not learns and grid.dtype in REGIONS


def ragged_weights(query: Tensor, keys: Keys, v: Tensor, counts: list[int]) -> Tensor:
    """Weigh an image's regions for its captions: the softmax of `additive_scores`.

    Of a score `sum(v) - 2 v . r`, see `additive`, the first part is the same for all regions, and
    left out.

    Args and shapes as of `ragged_attention`; returns (M, R).
    """
    known, asked = keys.exponential, exponential_of(query).unsqueeze(1)
    weight = v.to(known.dtype) * -2
    scores = known.new_empty(len(query), known.shape[1])
    room, one = known.new_empty(max(counts), *known.shape[1:]), known.new_ones(())
    parts = torch.split(asked, counts), torch.split(scores, counts)
    for image, its_asked, its_scores in zip(known.unbind(), *parts, strict=True):
        pairs = room[: len(its_scores)]
        torch.addcmul(one, image, its_asked, out=pairs).reciprocal_()
        torch.mv(pairs.flatten(0, 1), weight, out=its_scores.view(-1))
    return F.softmax(scores, dim=1).to(query.dtype)


def ragged_contexts(alpha: Tensor, grid: Tensor, counts: list[int]) -> Tensor:
    """Sum the regions (B, R, D) with the weights of each caption (M, R), `counts` as above: (M, D).

    In bfloat16 a product lays the regions out first, for one caption as for five: there all images
    are multiplied in one go, as if each had as many captions as the one with most.
    """
    alpha = alpha.to(grid.dtype)
    most = max(counts)
    if min(counts) == most:
        return (alpha.view(len(grid), most, -1) @ grid).flatten(0, 1)
    if grid.dtype == torch.bfloat16:
        there = torch.arange(most) < torch.tensor(counts).unsqueeze(1)
        rows = there.flatten().nonzero()[:, 0]
        block = alpha.new_zeros(len(grid) * most, alpha.shape[1]).index_copy_(0, rows, alpha)
        return ragged_contexts(block, grid, [most] * len(grid)).index_select(0, rows)
    contexts = alpha.new_empty(len(alpha), grid.shape[2])
    parts = torch.split(alpha, counts), torch.split(contexts, counts)
    for image, its_alpha, its_contexts in zip(grid.unbind(), *parts, strict=True):
        torch.mm(its_alpha, image, out=its_contexts)
    return contexts
