"""A model on disk: one folder, nothing pickled.

config.json         architecture, preprocessing, search, provenance, scores
model.safetensors   all weights
tokenizer.json      the vocabulary
README.md           the model card
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.captioner.card import card
from cutline.captioner.network import Network
from cutline.captioner.shell import Read, assemble, check_fits
from cutline.captioner.storage import SCALE, Storage, check_finite, restore, squeeze
from cutline.captioner.sureness import Sureness, SurenessConfig, familiar_shapes
from cutline.config import LARGEST_SIDE, DecoderConfig, EncoderConfig, SearchConfig
from cutline.errors import CutlineError, ModelError, UsageError
from cutline.files import printable
from cutline.folders import written_folder
from cutline.models import LARGEST_CONFIG
from cutline.models.header import Entry, read_header
from cutline.preprocessing import Preprocessing
from cutline.untrusted import read_json, shortened
from cutline.vocabulary import MOST_WORDS, SPECIAL, Vocabulary

__all__ = [
    "FORMAT",
    "Model",
    "ModelConfig",
    "network_of",
    "read_config",
    "read_folder",
    "write_folder",
]

T = TypeVar("T", Entry, Tensor)

FORMAT: Literal[1] = 1
SURENESS = "sureness."  # before the names of its tensors
FILES = ("config.json", "model.safetensors", "tokenizer.json")
CARD = "README.md"
SIDES = range(1, LARGEST_SIDE + 1)


class ModelConfig(BaseModel):
    """What `config.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    cutline_version: str
    encoder: EncoderConfig
    decoder: DecoderConfig
    vocabulary_size: int = Field(ge=len(SPECIAL), le=MOST_WORDS)
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


def write_folder(
    folder: Path,
    config: ModelConfig,
    network: Network,
    vocabulary: Vocabulary,
    sureness: Sureness | None = None,
) -> None:
    """Write a model; the folder appears whole or not at all, and replaces an older one.

    Raises:
        ModelError: it has weights that are not finite, and nothing is written.
        UsageError: it cannot be written there; an older one is as it was.
    """
    tensors = _tensors(config, network, sureness, of=printable(folder))
    text = config.model_dump_json(indent=2) + "\n"
    if len(text.encode()) > LARGEST_CONFIG:
        raise ModelError(
            f"{printable(folder)}: its config.json would have {len(text):,} letters and could not "
            "be read again; shorten its provenance."
        )
    with written_folder(folder, own=(*FILES, CARD)) as draft:
        (draft / "config.json").write_text(text, encoding="utf-8")
        try:
            save_file(tensors, draft / "model.safetensors")
        except SafetensorError as error:
            raise UsageError(
                f"{printable(folder)} cannot be written ({error}); make room."
            ) from None
        (draft / "model.safetensors").chmod((draft / "config.json").stat().st_mode)  # it says 0600
        vocabulary.save(draft / "tokenizer.json")
        (draft / CARD).write_text(card(folder.name, config.model_dump()), encoding="utf-8")


def _tensors(
    config: ModelConfig, network: Network, sureness: Sureness | None, *, of: str
) -> dict[str, Tensor]:
    """Return what `model.safetensors` is to hold, all of it finite."""
    weights = network.state_dict()
    familiar = {} if sureness is None else sureness.familiar.tensors()
    familiar = {f"{SURENESS}{name}": tensor for name, tensor in familiar.items()}
    advice = "it is not saved; train again with a lower learning rate, or average others"
    check_finite(weights | familiar, of, advice=advice)
    narrow: Storage = "float32" if config.storage == "float32" else "float16"
    tensors = squeeze(weights, config.storage) | squeeze(familiar, narrow)
    check_finite(tensors, f"{of} as {config.storage}", advice="save it as float32")
    return tensors


class Model(NamedTuple):
    """What a model folder holds."""

    config: ModelConfig
    network: Network
    vocabulary: Vocabulary
    sureness: Sureness | None


def read_folder(folder: Path) -> Model:
    """Read a model; whatever is not whole is refused with a `ModelError` that says why.

    What files say of themselves is compared before memory is spent on it: their sizes, the fields
    of `config.json`, and the names and shapes in the header of `model.safetensors`.
    """
    _check_there(folder)
    config = read_config(folder)
    path = folder / "model.safetensors"
    weights, familiar = _divided(read_header(path))
    vocabulary = Vocabulary.load(folder / "tokenizer.json")
    if len(vocabulary) != config.vocabulary_size:
        raise ModelError(
            f"{printable(folder)}: tokenizer.json has {len(vocabulary)} words, but the model was "
            f"trained with {config.vocabulary_size}; put back the tokenizer.json it was saved with."
        )
    with _refused(folder), _opened(path) as read:
        network = assemble(config, weights, read)
        wanted = {} if config.sureness is None else familiar_shapes(familiar, network.encoder)
        check_fits(familiar, wanted)
        sureness = None
        if config.sureness is not None:
            known = read([SURENESS + name for name in familiar])
            sureness = Sureness.read(config.sureness, _divided(known)[1])
    return Model(config, network.eval().requires_grad_(False), vocabulary, sureness)


def network_of(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Network:
    """Build the network that `config` describes with copies of these weights, for looking only.

    Raises:
        ModelError: the weights are not of such a network.
    """
    header = {
        name: Entry("F32" if tensor.is_floating_point() else "I64", tuple(tensor.shape), 0, 0)
        for name, tensor in tensors.items()
    }

    def read(names: list[str]) -> dict[str, Tensor]:
        return {name: tensors[name].detach().to("cpu", copy=True) for name in names}

    return assemble(config, header, read).eval().requires_grad_(False)


def read_config(folder: Path) -> ModelConfig:
    """Read a model's `config.json`; one of another version or kind is a `ModelError`."""
    path = folder / "config.json"
    content = read_json(path, at_most=LARGEST_CONFIG)
    given = content.get("format") if isinstance(content, dict) else None
    if type(given) is not int or given != FORMAT:
        raise ModelError(
            f"{printable(path)} has format {shortened(repr(given))}, but this version of Cutline "
            f"reads format {FORMAT}; install the version that wrote it, or train the model again."
        )
    try:
        return ModelConfig.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ModelError(f"{printable(path)}: {_fault(error)}.") from None


def _fault(error: ValidationError) -> str:
    """Say which field of `config.json` is wrong, what it is, and what is allowed."""
    fault = error.errors()[0]
    key = shortened(".".join(str(part) for part in fault["loc"]))
    given = shortened(repr(fault["input"]), longest=60)
    said = shortened(fault["msg"].removeprefix("Value error, ")).rstrip(".")
    return f"'{key}' is {given}: {said}"


def _check_there(folder: Path) -> None:
    missing = [name for name in FILES if not os.path.lexists(folder / name)]
    if missing:
        raise ModelError(
            f"{printable(folder)} is not a model: {', '.join(missing)} is missing; "
            f"a model folder has {', '.join(FILES)}."
        )


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """Make one sentence, which names the folder, of whatever a stranger's model comes to."""
    name = printable(folder)
    try:
        yield
    except CutlineError as error:
        raise ModelError(f"{name}: {shortened(error, longest=400)}") from None
    except MemoryError:
        raise ModelError(f"{name} takes more memory than there is.") from None
    except Exception as error:  # timm's constructors raise many kinds on options that are none
        if "allocate memory" in str(error):
            raise ModelError(f"{name} takes more memory than there is.") from None
        reason = shortened(f"{type(error).__name__}: {error}").rstrip(".")
        raise ModelError(f"{name}: config.json describes no network ({reason}).") from None


def _divided(found: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """Divide what a file has into the network's, and what photographs look like to it."""
    network = {name: part for name, part in found.items() if not name.startswith(SURENESS)}
    return network, {
        name.removeprefix(SURENESS): part for name, part in found.items() if name not in network
    }


@contextmanager
def _opened(path: Path) -> Iterator[Read]:
    """Yield what reads tensors of `model.safetensors`, in single precision, all of them finite."""
    try:
        with safe_open(path, "pt") as file:
            there = set(file.keys())

            def read(names: list[str]) -> dict[str, Tensor]:
                stored = [n for name in names for n in (name, name + SCALE) if n in there]
                tensors = restore({name: file.get_tensor(name) for name in stored})
                advice = "copy the folder again, or train again"
                check_finite(tensors, "model.safetensors", advice=advice)
                return tensors

            yield read
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"model.safetensors is cut off or damaged ({error}); copy the file again, or train "
            "again."
        ) from None
