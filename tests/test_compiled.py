"""Compiled loops compute what the others do, and do without a compiler where there is none."""

import os
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cutline import compiled
from cutline.compiled import compilable, compiled_instead_of, compiling, has_compiler
from cutline.functional import additive_attention
from cutline.losses import word_loss

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C++ compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def broken(monkeypatch):
    """Let the compiler fail, as it does where a header is missing."""

    def compile_(*_, **__):
        def fail(*_, **__):
            raise RuntimeError("CppCompileError: no such file: omp.h\nand more")

        return fail

    monkeypatch.setattr(torch, "compile", compile_)


def looked(images: int, captions: int) -> dict[str, Tensor]:
    """Context, weights and all gradients of additive attention."""
    torch.manual_seed(images)
    h = torch.randn(images * captions, 6, requires_grad=True)
    keys = torch.randn(images, 10, 5, requires_grad=True)
    values = torch.randn(images, 10, 7)
    W, v = torch.randn(6, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    context, weights = additive_attention(h, keys, values, W, v)
    felt = torch.randn_like(context), torch.randn_like(weights)
    torch.autograd.backward([context, weights], felt)
    gradients = {name: x.grad for name, x in {"h": h, "keys": keys, "W": W, "v": v}.items()}
    return {"context": context.detach(), "weights": weights.detach(), **gradients}


def judged(rows: int, dtype: torch.dtype, smoothing: float) -> list[Tensor]:
    """A loss, what it says beside it, and its gradient."""
    torch.manual_seed(rows)
    scores = (3 * torch.randn(rows, 11)).to(dtype).requires_grad_()
    found = word_loss(scores, torch.randint(0, 11, (rows,)), label_smoothing=smoothing)
    (found.loss / rows).backward()
    return [found.loss.detach(), found.cross_entropy, found.top5, found.log_likelihood, scores.grad]


@needs_compiler
def test_compiled_attention_is_the_same(folder):
    for images, captions in ((3, 4), (2, 5), (3, 1), (1, 2)):
        plain = looked(images, captions)
        with compiling(folder):
            ours = looked(images, captions)
            assert compiled._Switch.on  # nothing failed on the way
        for name, expected in plain.items():
            assert torch.allclose(ours[name], expected, rtol=1e-5, atol=1e-6), name


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_compiled_loss_is_the_same(folder, dtype):
    for rows, smoothing in ((20, 0.0), (7, 0.1)):
        plain = judged(rows, dtype, smoothing)
        with compiling(folder):
            ours = judged(rows, dtype, smoothing)
            assert compiled._Switch.on
        for mine, expected in zip(ours, plain, strict=True):
            assert torch.allclose(mine.float(), expected.float(), rtol=1e-5, atol=1e-6)


@needs_compiler
def test_nothing_is_pickled(folder):
    with compiling(folder):
        looked(2, 3)
        compilable(lambda x: x.sin().cos())(torch.rand(9))
    made = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".so" for path in made)
    assert {path.suffix for path in made} <= {".cpp", ".so", ".py", ".h", ".lock", ".load_ok", ""}
    assert not list(folder.rglob("fxgraph"))


def test_nothing_is_compiled_unless_it_is_wanted(broken, folder):
    looked(2, 3)
    with compiling(folder, wanted=False):
        looked(2, 3)


def test_where_the_compiler_fails_all_goes_on_with_one_warning(broken, folder):
    called: list[int] = []

    def slow(x: Tensor) -> Tensor:
        called.append(1)
        return x + 1

    @compiled_instead_of(slow)
    def quick(x: Tensor) -> Tensor:
        return x + 1

    @compilable
    def same(x: Tensor) -> Tensor:
        return 2 * x

    with compiling(folder):
        with pytest.warns(UserWarning, match=r"does not work here \(CppCompileError.*omp\.h\)"):
            assert quick(torch.ones(1)) == 2
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert quick(torch.ones(1)) == 2
            assert same(torch.ones(1)) == 2
    assert len(called) == 2


def test_what_is_outside_is_not_compiled_after_what_is_inside(folder):
    with compiling(folder):
        assert compiled._Switch.on
        with compiling(folder, wanted=False):
            assert compiled._Switch.on
    assert not compiled._Switch.on


def test_where_pytorch_keeps_its_own_is_as_it_was(monkeypatch, folder):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    with compiling(folder):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    with compiling(folder):
        pass
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
