"""A model on disk: one folder, nothing pickled.

config.json         architecture, preprocessing, search, provenance, scores
model.safetensors   all weights
tokenizer.json      the vocabulary
README.md           the model card
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cutline.captioner.card import card
from cutline.captioner.network import Network, build_network
from cutline.captioner.storage import Storage, restore, squeeze
from cutline.captioner.sureness import Sureness, SurenessConfig
from cutline.config import DecoderConfig, EncoderConfig, SearchConfig
from cutline.errors import ModelError
from cutline.files import written_folder
from cutline.preprocessing import Preprocessing
from cutline.vocabulary import Vocabulary

__all__ = [
    "FORMAT",
    "Model",
    "ModelConfig",
    "network_of",
    "read_config",
    "read_folder",
    "write_folder",
]

FORMAT: Literal[1] = 1
SURENESS = "sureness."  # before the names of its tensors
FILES = ("config.json", "model.safetensors", "tokenizer.json")


class ModelConfig(BaseModel):
    """What `config.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    cutline_version: str
    encoder: EncoderConfig
    decoder: DecoderConfig
    vocabulary_size: int
    preprocessing: Preprocessing = Field(description="how a picture becomes the encoder's input")
    search: SearchConfig
    storage: Storage = "float32"
    sureness: SurenessConfig | None = None
    provenance: dict[str, Any] = Field(default_factory=dict, description="data, recipe, machine")
    scores: dict[str, Any] = Field(default_factory=dict, description="figures and signature")


def write_folder(
    folder: Path,
    config: ModelConfig,
    network: Network,
    vocabulary: Vocabulary,
    sureness: Sureness | None = None,
) -> None:
    """Write a model; the folder appears whole or not at all, and replaces an older one."""
    text = config.model_dump_json(indent=2)
    tensors = squeeze(network.state_dict(), config.storage)
    if sureness is not None:
        familiar = {f"{SURENESS}{k}": v for k, v in sureness.familiar.tensors().items()}
        tensors |= squeeze(familiar, "float32" if config.storage == "float32" else "float16")
    with written_folder(folder) as draft:
        (draft / "config.json").write_text(text + "\n", encoding="utf-8")
        _write_tensors(draft / "model.safetensors", tensors)
        mode = (draft / "config.json").stat().st_mode
        (draft / "model.safetensors").chmod(mode)  # it says 0600
        vocabulary.save(draft / "tokenizer.json")
        (draft / "README.md").write_text(card(folder.name, config.model_dump()), encoding="utf-8")


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:  # what it says of a full disk
        raise OSError(str(error)) from error


class Model(NamedTuple):
    """What a model folder holds."""

    config: ModelConfig
    network: Network
    vocabulary: Vocabulary
    sureness: Sureness | None


def read_folder(folder: Path) -> Model:
    """Read a model; whatever is not whole is refused with a `ModelError` that says why."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} is not a model: {', '.join(missing)} is missing; "
            f"a model folder has {', '.join(FILES)}."
        )
    config = read_config(folder)
    vocabulary = Vocabulary.load(folder / "tokenizer.json")
    if len(vocabulary) != config.vocabulary_size:
        raise ModelError(
            f"{folder}: tokenizer.json has {len(vocabulary)} words, but the model was trained "
            f"with {config.vocabulary_size}; put back the tokenizer.json it was saved with."
        )
    tensors = restore(_read_tensors(folder / "model.safetensors"))
    familiar = {
        name.removeprefix(SURENESS): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(SURENESS)
    }
    try:
        network = network_of(config, tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(
            f"{folder}: model.safetensors does not fit config.json: {detail} "
            "Both must come from the same save."
        ) from None
    sureness = None
    if config.sureness is not None:
        try:
            sureness = Sureness.read(config.sureness, familiar)
        except TypeError:
            raise ModelError(
                f"{folder}: config.json says that the model is calibrated, but model.safetensors "
                "lacks what it takes; both must come from the same save."
            ) from None
    return Model(config, network, vocabulary, sureness)


def network_of(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Network:
    """Build the network that `config` describes with these weights, for looking only.

    Raises:
        RuntimeError: the weights are not of such a network.
    """
    network = build_network(
        config.encoder,
        config.decoder,
        vocabulary_size=config.vocabulary_size,
        preprocessing=config.preprocessing,
    )
    network.load_state_dict(tensors, strict=True)
    return network.eval().requires_grad_(False)


def read_config(folder: Path) -> ModelConfig:
    """Read a model's `config.json`; one of another version or kind is a `ModelError`."""
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from None
    given = content.get("format") if isinstance(content, dict) else None
    if given != FORMAT:
        raise ModelError(
            f"{path} has format {given!r}, but this version of Cutline reads format {FORMAT}; "
            "install the version that wrote it, or train the model again."
        )
    try:
        return ModelConfig.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise ModelError(f"{path}: '{key}': {fault['msg']}.") from None


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is cut off or damaged ({error}); copy the file again, or train again."
        ) from None
