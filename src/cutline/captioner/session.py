"""ONNX Runtime session: one graph, its inputs and outputs checked against what is expected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime  # type: ignore[import-untyped]

from cutline.errors import ModelError
from cutline.files import printable
from cutline.untrusted import MEGABYTE, shortened

__all__ = ["FLOAT", "INT64", "UINT8", "Session", "Value", "session_options"]

FLOAT, INT64, UINT8 = "tensor(float)", "tensor(int64)", "tensor(uint8)"
LARGEST_CONSTANT = 128 * MEGABYTE  # that is computed when a graph is loaded


class Value(NamedTuple):
    """An input or output: its type, and its shape, in which a name is a size that is free."""

    kind: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(map(str, self.shape))})"

    def fits(self, other: "Value") -> bool:
        """Return whether both are of the same type and shape, whatever free sizes are called."""
        return self.kind == other.kind and _free(self.shape) == _free(other.shape)

    def of_captions(self) -> "Value":
        """Return the same of each caption of an image, in the place of each image."""
        return Value(self.kind, ("images", "captions", *self.shape[1:]))


class Session:
    """A graph that has been loaded.

    Raises:
        ModelError: it cannot be.
    """

    def __init__(self, path: Path, options: onnxruntime.SessionOptions) -> None:
        self.path = path
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self.inputs = _values(self._session.get_inputs())
            self.outputs = _values(self._session.get_outputs())
        except Exception as error:  # ONNX Runtime has a dozen kinds that share no base
            raise self.fault(f"cannot be loaded ({_reason(error)})") from None

    def run(
        self, names: Sequence[str], given: Mapping[str, Any], sizes: tuple[int, ...]
    ) -> list[Any]:
        """Compute outputs; `sizes` are those of the first dimensions of all of them.

        Raises:
            ModelError: they cannot be computed, or have other shapes than the graph says.
        """
        try:
            found: list[Any] = self._session.run(names, given)
        except Exception as error:  # see above
            raise self.fault(f"cannot be run ({_reason(error)})") from None
        for name, array in zip(names, found, strict=True):
            told = (*sizes, *self.outputs[name].shape[len(sizes) :])
            if len(told) != array.ndim or any(
                isinstance(size, int) and size != there
                for size, there in zip(told, array.shape, strict=True)
            ):
                raise self.fault(f"gives '{shortened(name)}' of another shape than it says")
        return found

    def differs(self, inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> str:
        """Say which input or output is not as it should be; an empty text if all are.

        Outputs that nobody asks for are no fault.
        """
        for what, found, wanted in (
            ("input", self.inputs, inputs),
            ("output", self.outputs, outputs),
        ):
            for name in wanted:
                if name not in found:
                    return f"{self.path.name} has no {what} '{shortened(name)}'"
            for name, value in found.items():
                told = f"the {what} '{shortened(name)}' of {self.path.name}"
                if name not in wanted and what == "input":
                    return f"{told} is none that Cutline gives"
                if name in wanted and not value.fits(wanted[name]):
                    return f"{told} is {shortened(value)}, not {shortened(wanted[name])}"
        return ""

    def fault(self, how: str) -> ModelError:
        """Return an error that names the graph."""
        return ModelError(
            f"{printable(self.path)} {how}; copy the folder again, or export the model again."
        )


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return how graphs are loaded and run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # threads that wait sleep: a busy machine's other processes need the cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "optimization.constant_folding_max_output_size_in_bytes", str(LARGEST_CONSTANT)
    )
    return options


def _values(values: Sequence[Any]) -> dict[str, Value]:
    return {value.name: Value(value.type, tuple(value.shape)) for value in values}


def _free(shape: tuple[int | str, ...]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def _reason(error: Exception) -> str:
    return shortened(str(error).replace("\n", " ")).rstrip(".")
