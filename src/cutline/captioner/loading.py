"""Loading a captioner, on ONNX Runtime or on PyTorch."""

from pathlib import Path
from typing import Literal, get_args

from cutline.captioner.backend import Precision
from cutline.captioner.captioner import Captioner
from cutline.captioner.folder import FORMAT, read_parts, read_sureness
from cutline.errors import ModelError, UsageError, did_you_mean, missing_dependency
from cutline.files import printable
from cutline.models import SHIPPED, find_model

__all__ = ["BackendName", "load", "model_name"]

BackendName = Literal["onnx", "torch"]


def load(
    path: Path | str = SHIPPED,
    *,
    backend: BackendName = "onnx",
    precision: Precision = "float32",
    threads: int | None = None,
    device: str = "cpu",
) -> Captioner:
    """Load a captioner.

    Args:
        path: its folder, or the name of one that comes with Cutline.
        backend: `onnx` (ONNX Runtime, on the CPU), or `torch` (PyTorch, on any `device`; it needs
            `cutline[train]`).
        precision: of the decoder's products on ONNX Runtime: `float32`, or `int8`, which is faster
            and may choose another word.
        threads: that compute together; by default the processor's own, at most four. On PyTorch
            they are the whole process's.
        device: where PyTorch computes, such as `cuda`.

    Raises:
        ModelError: there is no such folder, it is not whole, or of format 1.
        UsageError: there is no such backend, precision or device.
        MissingDependencyError: PyTorch is asked for and not installed.
    """
    if backend not in get_args(BackendName):
        raise UsageError(
            f"There is no backend '{backend}'; {did_you_mean(backend, get_args(BackendName))}."
        )
    if backend == "onnx" and device != "cpu":
        raise UsageError(
            f"device is {device}, but ONNX Runtime captions on the CPU here; add backend='torch' "
            "(pip install 'cutline[train]')."
        )
    folder = find_model(path)
    return (
        _on_onnx(folder, precision, threads)
        if backend == "onnx"
        else _on_torch(folder, precision, threads, device)
    )


def model_name(folder: Path) -> str:
    """Return what a model is called: its folder, or its run's where that is `best` or so."""
    parts = [part for part in folder.resolve().parts if part not in {"model", "best", "last"}]
    return parts[-1]


def _on_onnx(folder: Path, precision: Precision, threads: int | None) -> Captioner:
    from cutline.captioner.onnx import OnnxBackend  # PyTorch captions without ONNX Runtime

    parts = read_parts(folder)
    config = parts.config
    if config.format != FORMAT:
        raise ModelError(
            f"{printable(folder)} is a model of format 1, which has no graphs for ONNX Runtime; "
            f"`cutline export {printable(folder)} NEW_FOLDER` makes format {FORMAT} of it (pip "
            "install 'cutline[train]')."
        )
    assert config.grid is not None
    graphs = OnnxBackend(
        folder,
        size=config.preprocessing.size,
        vocabulary_size=config.vocabulary_size,
        grid=config.grid,
        precision=precision,
        threads=threads,
        header=parts.header,
    )
    sureness = read_sureness(folder, parts, feature_size=graphs.feature_size)
    return Captioner(config, graphs, parts.vocabulary, sureness=sureness, name=model_name(folder))


def _on_torch(folder: Path, precision: Precision, threads: int | None, device: str) -> Captioner:
    if precision != "float32":
        raise UsageError(
            f"precision is {precision}, which PyTorch does not caption in here; leave it out, or "
            "give backend='onnx'."
        )
    try:
        from cutline.network import Model, set_threads
    except ModuleNotFoundError as error:
        raise missing_dependency("backend='torch'", error) or error from None
    if threads is not None:
        set_threads(threads)
    return Model.read(folder).captioner(device=device)
