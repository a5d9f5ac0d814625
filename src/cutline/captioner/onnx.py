"""ONNX Runtime backend: the graphs of a model folder, numpy in and out.

The graphs and what goes in and out of them are described in `docs/model-folder.md`.

Shapes: `B` images, `K` captions an image, `N = B * K`, `S` side in pixels, `R` regions, `D` feature
size, `V` vocabulary.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from cutline.captioner.backend import Bytes, Encoded, Precision, Started
from cutline.captioner.graph_file import check_graph
from cutline.captioner.session import FLOAT, INT64, UINT8, Session, Value, session_options
from cutline.captioner.weights import WEIGHTS, check_weights
from cutline.errors import ModelError, UsageError, did_you_mean
from cutline.files import printable
from cutline.models.header import Entry, file_offsets, read_header
from cutline.search import NumpyArrays, Scored
from cutline.search.arrays import Floats, Ints

__all__ = ["OnnxBackend", "default_threads"]

FEW = 4  # pictures that are encoded together
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
        header: of `model.safetensors`, where it has been read already.

    Raises:
        ModelError: a graph is missing, cannot be loaded, is none that Cutline exports, or does not
            fit `config.json` and `model.safetensors`; or weights are not finite.
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
        header: Mapping[str, Entry] | None = None,
    ) -> None:
        if precision not in get_args(Precision):
            raise UsageError(
                f"There is no precision '{precision}'; "
                f"{did_you_mean(precision, get_args(Precision))}."
            )
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; give 1 or more, or leave it out.")
        step = "step.onnx" if precision == "float32" else f"step.{precision}.onnx"
        paths = [folder / name for name in ("encode.onnx", "start.onnx", step)]
        weights = folder / WEIGHTS
        stored = file_offsets(weights, read_header(weights) if header is None else header)
        used = {name for path in paths for name in _look(path, stored)}
        check_weights(weights, stored, used)
        options = session_options(threads or default_threads())
        self.arrays = OnnxArrays()
        self.grid = grid
        self.vocabulary_size = vocabulary_size
        self._encode, self._start, self._step = (Session(path, options) for path in paths)
        self._memory = [name for name in self._step.inputs if name.startswith("memory.")]
        self._state = [name for name in self._step.inputs if name.startswith("state.")]
        self._reports = [name for name in ("attention", "sentinel") if name in self._step.outputs]
        fault = self._misfit(size)
        if fault:
            raise ModelError(
                f"{printable(folder)}: {fault}; the graphs (*.onnx) do not fit each other or "
                "config.json, and all files of a model must come from the same save."
            )

    def encode(self, pixels: Bytes) -> Encoded:
        """See `Backend.encode`; a few pictures at a time, which takes less memory and no longer."""
        pieces = [pixels[first : first + FEW] for first in range(0, max(1, len(pixels)), FEW)]
        names = ["grid", "pooled"]
        seen = [self._encode.run(names, {"pixels": some}, some.shape[:1]) for some in pieces]
        return Encoded(*(np.concatenate(parts) for parts in zip(*seen, strict=True)))

    def start(self, encoded: Encoded) -> Started:
        """See `Backend.start`."""
        asked = self._start.inputs
        given = {name: value for name, value in encoded._asdict().items() if name in asked}
        found = self._start.run([*self._memory, *self._state], given, encoded.grid.shape[:1])
        count = len(self._memory)
        return Started(tuple(found[:count]), tuple(found[count:]))

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
        found = self._step.run([*ranked, *states, *self._reports], given, shape)
        if np.isnan(found[0]).any():
            raise self._step.fault("gives no probabilities that are numbers, of finite weights")
        if best and not self._are_words(found[1], (*shape, count)):
            raise self._step.fault("gives words that are none")
        rows = [array.reshape(len(words), *array.shape[2:]) for array in found]
        scores, rest = (Best(*rows[:2]), rows[2:]) if best else (rows[0], rows[1:])
        reports = dict(zip(self._reports, rest[len(states) :], strict=True))
        return Scored(scores, tuple(rest[: len(states)]), **reports)

    @property
    def feature_size(self) -> int:
        """`D`, of the pooled feature."""
        pooled = self._encode.outputs.get("pooled")
        size = pooled.shape[-1] if pooled and pooled.shape else 0
        return size if isinstance(size, int) else 0

    def _are_words(self, words: Ints, shape: tuple[int, ...]) -> bool:
        """Return whether words have this shape, and are of the vocabulary."""
        return words.shape == shape and words.min() >= 0 and words.max() < self.vocabulary_size

    def _misfit(self, size: int) -> str:
        """Compare what goes in and out with each other and `config.json`; say what is wrong."""
        regions, features = self.grid[0] * self.grid[1], self.feature_size
        encoded = {
            "grid": Value(FLOAT, ("images", regions, features)),
            "pooled": Value(FLOAT, ("images", features)),
        }
        outputs = self._start.outputs
        states = {n: outputs[n].of_captions() for n in self._state if n in outputs}
        ranked = ("images", "captions", "count")
        step = {
            "log_probs": Value(FLOAT, ("images", "captions", self.vocabulary_size)),
            "best_log_probs": Value(FLOAT, ranked),
            "best_words": Value(INT64, ranked),
            **{f"new.{name}": value for name, value in states.items()},
        }
        reports = {
            "attention": Value(FLOAT, ("images", "captions", regions)),
            "sentinel": Value(FLOAT, ("images", "captions")),
        }
        given = {"words": Value(INT64, ("images", "captions")), "count": Value(INT64, (1,))}
        memory = {name: outputs[name] for name in self._memory if name in outputs}
        return (
            self._encode.differs({"pixels": Value(UINT8, ("images", size, size, 3))}, encoded)
            or self._start.differs(
                {n: v for n, v in encoded.items() if n in self._start.inputs}, {}
            )
            or self._step.differs(
                given | memory | states, step | {name: reports[name] for name in self._reports}
            )
        )


def _look(path: Path, stored: Mapping[str, Entry]) -> set[str]:
    """Check a graph before it is loaded; return the weights that it takes."""
    if not os.path.lexists(path):
        name = printable(path.parent)
        raise ModelError(
            f"{name} has no {path.name}; `cutline export {name} NEW_FOLDER` makes the graphs anew "
            "(pip install 'cutline[train]')."
        )
    return check_graph(path, stored)
