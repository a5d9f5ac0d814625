"""Where images have different numbers of captions, attention is what it is one by one."""

import pytest
import torch
from torch import Tensor

from cutline.compiled import compiler
from cutline.functional import additive_attention, prepare_keys, ragged
from cutline.functional.ragged import ragged_attention, ragged_contexts, ragged_weights, use_native

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


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The loop in C++."""
    if compiler() is None:
        pytest.skip("no C++ compiler")
    with pytest.MonkeyPatch.context() as during:
        during.setattr(ragged._Native, "asked", False)
        during.setattr(ragged._Native, "library", None)
        during.setattr(torch, "get_num_threads", lambda: 1)
        assert use_native(tmp_path_factory.mktemp("native"))
        yield ragged._Native.library


@pytest.mark.parametrize("threads", [1, 8])
def test_where_there_is_no_library_or_many_cores_attention_is_two_passes(
    native, monkeypatch: pytest.MonkeyPatch, threads: int
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    if threads == 1:
        monkeypatch.setattr(ragged._Native, "library", None)
    query, keys, v = torch.randn(3, A), prepare_keys(torch.randn(2, R, A)), torch.randn(A)
    grid = torch.randn(2, R, D)
    alpha, contexts = ragged_attention(query, keys, v, grid, [1, 2])
    assert torch.equal(alpha, ragged_weights(query, keys, v, [1, 2]))
    assert torch.equal(contexts, ragged_contexts(alpha, grid, [1, 2]))


@pytest.mark.parametrize("counts", [[1, 3, 2], [2, 2], [5], [4, 13, 0, 6]])
@pytest.mark.parametrize("scale", [0.1, 30.0])
@pytest.mark.parametrize("regions", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sizes", [(7, 6, 5), (8, 64, 128), (19, 37, 203), (1, 16, 1)])
def test_one_loop_in_cpp_says_what_the_passes_say(
    native, monkeypatch: pytest.MonkeyPatch, counts: list[int], scale, regions, sizes
):
    places, attention, features = sizes
    query, v = scale * torch.randn(sum(counts), attention), torch.randn(attention)
    keys = prepare_keys(scale * torch.randn(len(counts), places, attention))
    grid = torch.randn(len(counts), places, features)
    with monkeypatch.context() as during:
        for passes in ("ragged_weights", "ragged_contexts"):
            during.setattr(ragged, passes, lambda *_: pytest.fail("it took the passes"))
        alpha, contexts = ragged_attention(query, keys, v, grid.to(regions), counts)
    assert alpha.dtype == contexts.dtype == torch.float32
    monkeypatch.setattr(ragged._Native, "library", None)
    expected, seen = ragged_attention(query, keys, v, grid.to(regions).float(), counts)
    assert torch.allclose(alpha, expected, atol=1e-5)
    assert torch.allclose(contexts, seen, atol=1e-4)


@pytest.mark.parametrize("counts", [[3, 1], [1, 1, 1]])
def test_counts_that_do_not_fit_are_refused_and_not_followed(native, counts: list[int]):
    keys = prepare_keys(torch.randn(2, R, A))
    with pytest.raises((RuntimeError, ValueError)):
        ragged_attention(torch.randn(3, A), keys, torch.randn(A), torch.randn(2, R, D), counts)


def test_of_nothing_to_see_nothing_is_seen(native):
    keys, grid = prepare_keys(torch.randn(2, 0, A)), torch.randn(2, 0, D)
    alpha, contexts = ragged_attention(torch.randn(3, A), keys, torch.randn(A), grid, [1, 2])
    assert alpha.shape == (3, 0)
    assert torch.equal(contexts, torch.zeros(3, D))


def test_other_types_and_what_is_not_in_one_piece_take_the_passes(native):
    query, v, grid = torch.randn(3, A), torch.randn(A), torch.randn(2, R, D)
    keys = torch.randn(2, R, A)
    expected = ragged_attention(query, prepare_keys(keys), v, grid, [1, 2])
    for kind, regions in ((torch.float64, grid.double()), (torch.float32, grid.mT.contiguous().mT)):
        other = prepare_keys(keys.to(kind))
        for ours, theirs in zip(
            ragged_attention(query.to(kind), other, v.to(kind), regions, [1, 2]),
            expected,
            strict=True,
        ):
            assert ours.dtype == kind
            assert torch.allclose(ours.float(), theirs, atol=1e-5)
