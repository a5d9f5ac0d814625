"""Compiled loops compute what the others do, and do without a compiler where there is none."""

import os
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cutline import compiled, losses
from cutline.compiled import Compilable, compiled_instead_of, compiler, compiling
from cutline.fast import additive
from cutline.losses import word_loss

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(params=["when it is asked", "when it is called"])
def broken(request, monkeypatch):
    """Let the compiler fail, as it does where it is not supported, or where a header is missing."""

    def fail(*_, **__):
        raise RuntimeError("CppCompileError: no such file: omp.h\nand more")

    asked = request.param == "when it is asked"
    monkeypatch.setattr(torch, "compile", fail if asked else lambda *_, **__: fail)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Whether a function failed in another test."""
    for function in (
        additive.pair_sums,
        additive.pair_sums_backward,
        losses._negative_log_likelihood,
    ):
        monkeypatch.setattr(function, "failed", False)


def slow(x: Tensor) -> Tensor:
    return x + 1


def fresh() -> Compilable[[Tensor], Tensor]:
    """A function that was never compiled; compiled it says something else."""
    return compiled_instead_of(slow)(lambda x: x + 2)


def looked(images: int, captions: int) -> dict[str, Tensor]:
    """Context, weights and all gradients of additive attention."""
    torch.manual_seed(images)
    h = torch.randn(images * captions, 6, requires_grad=True)
    keys = torch.randn(images, 10, 5, requires_grad=True)
    values = torch.randn(images, 10, 7)
    W, v = torch.randn(6, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    context, weights = additive.additive_attention(h, additive.prepare_keys(keys), values, W, v)
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


ONE = pytest.param([(3, 1), (1, 2)], marks=pytest.mark.slow)  # each is compiled anew


@needs_compiler
@pytest.mark.parametrize("sizes", [[(3, 4), (2, 5)], ONE])
def test_compiled_attention_is_the_same(folder, sizes):
    for images, captions in sizes:
        plain = looked(images, captions)
        with compiling(folder):
            ours = looked(images, captions)
        assert additive.pair_sums.compiled
        assert not additive.pair_sums.failed
        assert additive.pair_sums_backward.compiled
        assert not additive.pair_sums_backward.failed
        for name, expected in plain.items():
            assert torch.allclose(ours[name], expected, rtol=1e-5, atol=1e-6), name


@needs_compiler
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)]
)
def test_a_compiled_loss_is_the_same(folder, dtype):
    for rows, smoothing in ((20, 0.0), (7, 0.1)):
        plain = judged(rows, dtype, smoothing)
        with compiling(folder):
            ours = judged(rows, dtype, smoothing)
        assert losses._negative_log_likelihood.compiled
        assert not losses._negative_log_likelihood.failed
        for mine, expected in zip(ours, plain, strict=True):
            assert torch.allclose(mine.float(), expected.float(), rtol=1e-5, atol=1e-6)


@needs_compiler
def test_what_is_compiled_lies_in_the_folder_and_nothing_is_pickled(tmp_path):
    with compiling(tmp_path / "there"):
        assert fresh()(torch.rand(9)) is not None
    made = [path for path in (tmp_path / "there").rglob("*") if path.is_file()]
    assert any(path.suffix == ".so" for path in made)
    for path in made:
        assert path.read_bytes()[:2] not in (b"\x80\x04", b"\x80\x05"), path  # as pickles begin


@needs_compiler
def test_a_folder_with_a_space_in_its_name_is_left_out(tmp_path):
    with compiling(tmp_path / "with space"):
        assert fresh()(torch.zeros(3)).tolist() == [2, 2, 2]
    assert not (tmp_path / "with space").exists()


@needs_compiler
def test_beyond_its_variants_a_function_is_not_run_slowly(folder, monkeypatch):
    monkeypatch.setitem(compiled.LIMITS, "recompile_limit", 1)
    function = fresh()
    with compiling(folder):
        assert function(torch.zeros(3)).tolist() == [2, 2, 2]
        with pytest.warns(UserWarning, match="does not work here"):
            other = function(torch.zeros(3, dtype=torch.float64))
    assert other.tolist() == [1, 1, 1]


def test_nothing_is_compiled_unless_it_is_wanted(broken, folder):
    function = fresh()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(torch.ones(1)) == 2
        with compiling(folder, wanted=False):
            assert function(torch.ones(1)) == 2


def test_where_the_compiler_fails_all_goes_on_with_one_warning(broken, folder):
    function = fresh()
    said = r"does not work here \(CppCompileError.*omp\.h\)"
    with compiling(folder), pytest.warns(UserWarning, match=said):
        assert function(torch.ones(1)) == 2
    with warnings.catch_warnings(), compiling(folder):
        warnings.simplefilter("error")
        assert function(torch.ones(1)) == 2


@pytest.mark.parametrize("given", ["no-such-compiler", "no-such-launcher g++"])
def test_the_compiler_is_the_one_that_pytorch_would_call(given, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", given)
    assert compiler() is None
    (tmp_path / "my++").touch(mode=0o755)
    monkeypatch.setenv("CXX", f"{tmp_path / 'my++'} -m64")
    assert compiler() == str(tmp_path / "my++")


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
