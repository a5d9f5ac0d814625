"""Captioning on ONNX Runtime: the graphs of a model folder, numpy in and out.

The graphs and what goes in and out of them are described in `docs/model-folder.md`.

Shapes: `B` images, `K` captions an image, `N = B * K`, `S` side in pixels, `R` regions, `D` feature
size, `V` vocabulary.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import onnxruntime

from cutline.captioner.backend import Begun, Bytes, Looked
from cutline.errors import ModelError, UsageError, did_you_mean
from cutline.files import printable
from cutline.search import NumpyArrays, Scored
from cutline.search.arrays import Floats, Ints
from cutline.untrusted import MEGABYTE, check_size, shortened

__all__ = ["OnnxBackend", "Precision", "default_threads"]

Precision = Literal["float32", "int8"]
LARGEST = 64 * MEGABYTE  # bytes of a graph, which holds no weights
MOST_THREADS = 4  # more than that help a photograph little


class Best(NamedTuple):
    """The best log-probabilities and words of each caption, (N, count) both, best first."""

    log_probs: Floats
    words: Ints


class OnnxArrays(NumpyArrays):
    """`cutline.search.Arrays` for what the step graph gives: words are ranked and banned there."""

    def top(self, scores: Any, k: int, banned: Ints) -> tuple[Floats, Ints]:  # noqa: ARG002
        """See `Arrays.top`."""
        assert isinstance(scores, Best)
        return scores.log_probs[:, :k], scores.words[:, :k]

    def log_probs(self, scores: Any, banned: Ints) -> Floats:  # noqa: ARG002
        """See `Arrays.log_probs`."""
        log_probs: Floats = scores
        return log_probs


def default_threads() -> int:
    """Return how many threads caption where nobody says: the processor's own, at most four."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_THREADS, usable or 1)


class OnnxBackend:
    """A `Backend` on ONNX Runtime.

    Args:
        folder: a model folder of format 2.
        size: side of the encoder's input in pixels, as `config.json` has it.
        vocabulary_size: likewise.
        grid: height and width of the regions, likewise.
        precision: of the decoder's products, whatever the weights are stored in: `float32`, or
            `int8`, which is faster and may choose another word.
        threads: that compute one product; by default the processor's, at most four.

    Raises:
        ModelError: a graph is missing, cannot be loaded, or does not fit `config.json`.
        UsageError: there is no such precision, or no positive number of threads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        vocabulary_size: int,
        grid: tuple[int, int],
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        if precision not in get_args(Precision):
            raise UsageError(
                f"There is no precision '{precision}'; "
                f"{did_you_mean(precision, get_args(Precision))}."
            )
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; give 1 or more, or leave it out.")
        options = _options(threads or default_threads())
        step = "step.onnx" if precision == "float32" else f"step.{precision}.onnx"
        self.arrays = OnnxArrays()
        self.grid = grid
        self.vocabulary_size = vocabulary_size
        self._encode, self._start, self._step = (
            _session(folder / name, options) for name in ("encode.onnx", "start.onnx", step)
        )
        self._memory = [name for name in _names(self._step, "in") if name.startswith("memory.")]
        self._state = [name for name in _names(self._step, "in") if name.startswith("state.")]
        self._reports = [
            name for name in ("attention", "sentinel") if name in _names(self._step, "out")
        ]
        self._check(folder, size)

    def encode(self, pixels: Bytes) -> Looked:
        """See `Backend.encode`."""
        return Looked(*self._encode.run(["grid", "pooled"], {"pixels": pixels}))

    def start(self, looked: Looked) -> Begun:
        """See `Backend.start`."""
        asked = _names(self._start, "in")
        given = {name: value for name, value in looked._asdict().items() if name in asked}
        found = self._start.run([*self._memory, *self._state], given)
        count = len(self._memory)
        return Begun(tuple(found[:count]), tuple(found[count:]))

    def step(self, words: Ints, state: Any, memory: Any, *, best: int | None) -> Scored:
        """See `Backend.step`."""
        images = len(memory[0]) if memory else len(words)
        shape = (images, len(words) // images)
        count = min(best or 1, self.vocabulary_size)
        given = {
            "words": words.reshape(shape),
            "count": np.array([count]),
            **{n: s.reshape(*shape, *s.shape[1:]) for n, s in zip(self._state, state, strict=True)},
            **dict(zip(self._memory, memory, strict=True)),
        }
        ranked = ["best_log_probs", "best_words"] if best else ["log_probs"]
        states = [f"new.{name}" for name in self._state]
        found = self._step.run([*ranked, *states, *self._reports], given)
        rows = [array.reshape(len(words), *array.shape[2:]) for array in found]
        scores, rest = (Best(*rows[:2]), rows[2:]) if best else (rows[0], rows[1:])
        reports = dict(zip(self._reports, rest[len(states) :], strict=True))
        return Scored(scores, tuple(rest[: len(states)]), **reports)

    @property
    def feature_size(self) -> int:
        """`D`, of the pooled feature."""
        return int(_shape(self._encode, "pooled", "out")[-1])

    def _check(self, folder: Path, size: int) -> None:
        """Compare the graphs with each other and with `config.json`."""
        looked, moved = {"grid", "pooled"}, {*self._memory, *self._state}
        ranked = {"log_probs", "best_log_probs", "best_words"}
        new = {f"new.{name}" for name in self._state}
        regions = self.grid[0] * self.grid[1]
        fits = (
            _shape(self._encode, "pixels")[1:] == [size, size, 3]
            and set(_names(self._encode, "out")) == looked
            and _shape(self._encode, "grid", "out")[1:] == [regions, self.feature_size]
            and set(_names(self._start, "in")) <= looked
            and set(_names(self._start, "out")) >= moved
            and set(_names(self._step, "in")) == {"words", "count", *moved}
            and set(_names(self._step, "out")) >= ranked | new
            and _shape(self._step, "log_probs", "out")[-1:] == [self.vocabulary_size]
        )
        if not fits:
            raise ModelError(
                f"{printable(folder)}: the graphs (*.onnx) do not fit each other or config.json; "
                "all files of a model must come from the same save."
            )


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # threads that wait sleep: a busy machine's other processes need the cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    if not path.is_file():
        name = printable(path.parent)
        raise ModelError(
            f"{name} has no {path.name}; `cutline export {name} NEW_FOLDER` makes the graphs anew "
            "(pip install 'cutline[train]')."
        )
    check_size(path, at_most=LARGEST)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen kinds that share no base
        raise ModelError(
            f"{printable(path)} cannot be loaded ({shortened(error).rstrip('.')}); copy the folder "
            "again, or export it again."
        ) from None


def _values(session: onnxruntime.InferenceSession, side: str) -> Mapping[str, Sequence[Any]]:
    values = session.get_inputs() if side == "in" else session.get_outputs()
    return {value.name: value.shape for value in values}


def _names(session: onnxruntime.InferenceSession, side: str) -> list[str]:
    return list(_values(session, side))


def _shape(session: onnxruntime.InferenceSession, name: str, side: str = "in") -> list[Any]:
    return list(_values(session, side).get(name, []))
