"""Model folder, format 2: read and checked; nothing pickled.

config.json         architecture, preprocessing, search, provenance, scores
model.safetensors   all weights, once
encode.onnx         the graphs; their weights are those of model.safetensors
start.onnx
step.onnx
step.int8.onnx
tokenizer.json      the vocabulary
README.md           the model card

Format 1 had no graphs; PyTorch reads it still, and `cutline export` makes format 2 of it.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open

from cutline.captioner.sureness import Familiar, Sureness, SurenessConfig
from cutline.captioner.weights import WEIGHTS
from cutline.config import LARGEST_SIDE, DecoderConfig, EncoderConfig, SearchConfig, translate
from cutline.errors import ModelError, fault_reason
from cutline.files import printable
from cutline.models import LARGEST_CONFIG
from cutline.models.header import Entry, read_header
from cutline.preprocessing import Preprocessing
from cutline.untrusted import read_json, shortened
from cutline.vocabulary import MOST_WORDS, SPECIAL, Vocabulary

__all__ = [
    "CARD",
    "FILES",
    "FORMAT",
    "GRAPHS",
    "SURENESS",
    "WEIGHTS",
    "ModelConfig",
    "Parts",
    "Storage",
    "read_config",
    "read_parts",
    "read_sureness",
]

Storage = Literal["float32", "float16", "int8"]

FORMAT: Literal[2] = 2
SURENESS = "sureness."  # before the names of its tensors
GRAPHS = ("encode.onnx", "start.onnx", "step.onnx", "step.int8.onnx")
FILES = ("config.json", WEIGHTS, "tokenizer.json")
CARD = "README.md"
SIDES = range(1, LARGEST_SIDE + 1)


class ModelConfig(BaseModel):
    """Schema of `config.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2] = FORMAT
    cutline_version: str
    encoder: EncoderConfig
    decoder: DecoderConfig
    vocabulary_size: int = Field(ge=len(SPECIAL), le=MOST_WORDS)
    grid: tuple[int, int] | None = Field(
        None, description="height and width of the regions; format 1 leaves it to the encoder"
    )
    preprocessing: Preprocessing = Field(description="how a picture becomes the encoder's input")
    search: SearchConfig
    storage: Storage = "float32"
    sureness: SurenessConfig | None = None
    provenance: dict[str, Any] = Field(default_factory=dict, description="data, recipe, machine")
    scores: dict[str, Any] = Field(default_factory=dict, description="figures and signature")

    @field_validator("preprocessing")
    @classmethod
    def _normalises(cls, given: Preprocessing) -> Preprocessing:
        if given.size not in SIDES:
            raise ValueError(f"size is {given.size}; 1 to {max(SIDES)} pixels are allowed")
        if not all(abs(number) <= 1000 for number in given.mean):
            raise ValueError(f"mean is {given.mean}; three numbers of at most 1000 are allowed")
        if not all(1e-4 <= number <= 1000 for number in given.std):
            raise ValueError(f"std is {given.std}; three numbers from 0.0001 to 1000 are allowed")
        return given


class Parts(NamedTuple):
    """Parts of a model folder but the weights: configuration, vocabulary, header of the weights."""

    config: ModelConfig
    vocabulary: Vocabulary
    header: dict[str, Entry]


def read_parts(folder: Path) -> Parts:
    """Read all of a model but its weights; what is not whole is a `ModelError` that says why.

    What files say of themselves is compared before memory is spent on it: their sizes, the fields
    of `config.json`, and the names and shapes in the header of `model.safetensors`.
    """
    missing = [name for name in FILES if not os.path.lexists(folder / name)]
    if missing:
        raise ModelError(
            f"{printable(folder)} is not a model: {', '.join(missing)} is missing; "
            f"a model folder has {', '.join(FILES)}."
        )
    config = read_config(folder)
    header = read_header(folder / WEIGHTS)
    vocabulary = Vocabulary.load(folder / "tokenizer.json")
    if len(vocabulary) != config.vocabulary_size:
        raise ModelError(
            f"{printable(folder)}: tokenizer.json has {len(vocabulary)} words, but the model was "
            f"trained with {config.vocabulary_size}; put back the tokenizer.json it was saved with."
        )
    return Parts(config, vocabulary, header)


def read_config(folder: Path) -> ModelConfig:
    """Read a model's `config.json`; one of another version or kind is a `ModelError`."""
    path = folder / "config.json"
    content = read_json(path, at_most=LARGEST_CONFIG)
    given = content.get("format") if isinstance(content, dict) else None
    if type(given) is not int or given not in (1, FORMAT):
        raise ModelError(
            f"{printable(path)} has format {shortened(repr(given))}, but this version of Cutline "
            f"reads format {FORMAT}; install the version that wrote it, or train the model again."
        )
    translate(content)
    try:
        config = ModelConfig.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ModelError(f"{printable(path)}: {_fault(error)}.") from None
    if given == FORMAT and (config.grid is None or min(config.grid) < 1):
        raise ModelError(f"{printable(path)}: 'grid' is {config.grid}; give two positive numbers.")
    return config


def read_sureness(folder: Path, parts: Parts, *, feature_size: int) -> Sureness | None:
    """Read a calibrated model's confidence parameters; None of a model without."""
    config = parts.config.sureness
    found = {name for name in parts.header if name.startswith(SURENESS)}
    if config is None:
        if found:
            raise _misfit(folder, min(found), "is of no part of the model")
        return None
    kept = parts.header.get(f"{SURENESS}directions", Entry("", (0,), 0, 0)).shape[0]
    shapes = {
        "mean": (feature_size,),
        "directions": (min(kept, feature_size), feature_size),
        "variances": (kept + 1,),
    }
    for name, shape in shapes.items():
        entry = parts.header.get(SURENESS + name)
        if entry is None or entry.shape != shape or entry.dtype not in ("F16", "F32"):
            raise _misfit(folder, SURENESS + name, "is missing or of another shape or type")
    tensors = _read(folder, list(shapes))
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(f"{printable(folder)}: what it knows of sureness is not finite.")
    if not (tensors["variances"] > 0).all():
        raise ModelError(
            f"{printable(folder)}: 'sureness.variances' has numbers that are not positive."
        )
    return Sureness(config, Familiar(**tensors))


def _read(folder: Path, names: list[str]) -> dict[str, NDArray[np.float32]]:
    try:
        with safe_open(folder / WEIGHTS, "np") as file:
            return {name: file.get_tensor(SURENESS + name).astype(np.float32) for name in names}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{printable(folder / WEIGHTS)} is cut off or damaged ({error}); copy the file again."
        ) from None


def _misfit(folder: Path, name: str, how: str) -> ModelError:
    return ModelError(
        f"{printable(folder)}: {WEIGHTS} does not fit config.json: '{shortened(name)}' {how}; both "
        "must come from the same save."
    )


def _fault(error: ValidationError) -> str:
    """Say which field of `config.json` is wrong, what it is, and what is allowed."""
    fault = error.errors()[0]
    key = shortened(".".join(str(part) for part in fault["loc"]))
    given = shortened(repr(fault["input"]), longest=60)
    said = shortened(fault_reason(fault["msg"]))
    return f"'{key}' is {given}: {said}"
