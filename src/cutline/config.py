"""Recipes: what to train, on what, how; a YAML file and `key=value` changes to it.

Every field is documented where it is declared. An unknown key is an error that says which one was
probably meant. Nothing here is handed to a layer: builders unpack it into plain arguments.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cutline.errors import UsageError, did_you_mean

__all__ = [
    "DataConfig",
    "DecoderConfig",
    "EncoderConfig",
    "NicConfig",
    "Recipe",
    "ScenesConfig",
    "SearchConfig",
    "SoftConfig",
    "TrainingConfig",
    "find_recipe",
    "read_recipe",
    "recipe_folder",
]


class Config(BaseModel):
    """Base of all parts of a recipe: unknown keys are errors, values don't change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )


class ScenesConfig(Config):
    """How much of the built-in `scenes` to draw."""

    train: int = Field(12_000, gt=0, description="scenes to train on")
    val: int = Field(500, gt=0, description="scenes to choose the model on")
    test: int = Field(500, gt=0, description="scenes never seen in training")
    side: int = Field(64, ge=32, description="side of the picture in pixels")
    seed: int = Field(0, ge=0, description="another seed draws other scenes")


class DataConfig(Config):
    """Which pictures and captions, and how captions become words."""

    path: str = Field(description="a data set that `cutline data check` recognises, or `scenes`")
    captions_per_image: int = Field(5, gt=0, description="captions used of each image")
    min_frequency: int = Field(5, gt=0, description="rarer words become <unk>")
    max_words: int = Field(50, gt=0, description="longer captions are cut here")
    workers: int = Field(0, ge=0, description="processes that read pictures while others train")
    cache: str | None = Field(
        None, description="folder of the feature cache; default: the user's cache folder"
    )
    scenes: ScenesConfig = Field(ScenesConfig(), description="used when path is `scenes`")


class LastStages(Config):
    """Train the last `n` stages of the encoder."""

    last_stages: int = Field(gt=0)


class EncoderConfig(Config):
    """A timm backbone as an encoder."""

    name: str = Field(description="any timm model, such as tf_efficientnet_lite0")
    weights: str = Field(
        "download",
        description="`download` (timm's pretrained), `random`, or a local .safetensors file",
    )
    stage: int | None = Field(
        None, description="which of the backbone's stages to tap; default: its final features"
    )
    size: int | None = Field(None, ge=16, description="input side in pixels; default: timm's own")
    resize: Literal["squash", "crop", "pad"] = Field(
        "squash", description="how a picture becomes a square"
    )
    trainable: Literal["none", "all"] | LastStages = Field(
        "none", description="none, all, or {last_stages: n}"
    )
    positions: bool = Field(
        False, description="add a learned vector to each region; for an encoder that is trained"
    )
    learning_rate: float = Field(1e-4, gt=0, description="of the encoder, when it is trained")
    options: dict[str, Any] = Field(
        default_factory=dict, description="passed on to timm, such as {pad_type: same}"
    )

    @model_validator(mode="after")
    def _positions_are_trained(self) -> "EncoderConfig":
        if self.positions and self.trainable == "none":
            raise ValueError("positions are learned, so trainable must not be none")
        return self


class CommonDecoderConfig(Config):
    """What every decoder has."""

    embedding: int = Field(512, gt=0, description="size of a word's embedding")
    hidden: int = Field(512, gt=0, description="size of the hidden state")
    dropout: float = Field(0.5, ge=0, lt=1, description="of words, states and outputs")
    head: int | None = Field(
        None, gt=0, description="project the features to this size first (linear + BatchNorm)"
    )


class SoftConfig(CommonDecoderConfig):
    """Show, Attend and Tell, soft attention."""

    name: Literal["soft"] = "soft"
    attention: int = Field(512, gt=0, description="size of the attention's hidden layer")
    penalty: float = Field(1.0, ge=0, description="lambda of the doubly stochastic penalty")


class NicConfig(CommonDecoderConfig):
    """Show and Tell."""

    name: Literal["nic"] = "nic"


DecoderConfig = Annotated[SoftConfig | NicConfig, Field(discriminator="name")]


class TrainingConfig(Config):
    """How to train."""

    epochs: int = Field(10, gt=0, description="passes over the training images")
    batch_size: int = Field(32, gt=0, description="images in a batch, each with its captions")
    learning_rate: float = Field(1e-3, gt=0, description="of the decoder (AdamW)")
    weight_decay: float = Field(1e-4, ge=0, description="of matrices; biases and norms have none")
    warmup_steps: int = Field(100, ge=0, description="steps until the full learning rate")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="plateau: times 0.5 when validation has not improved for 2 epochs"
    )
    gradient_clip: float = Field(5.0, gt=0, description="largest norm of the gradient")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability given to other words")
    patience: int | None = Field(
        None, gt=0, description="stop when validation has not improved for so many epochs"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="arithmetic, in Lightning's words"
    )
    validate_images: int | None = Field(
        None, gt=0, description="validate on so many images only; default: all"
    )


class SearchConfig(Config):
    """How captions are searched for, unless a command says otherwise."""

    beam: int = Field(5, gt=0, description="beam width; 1 is greedy")
    length_penalty: float = Field(
        0.0, ge=0, description="score = log-probability / length ** length_penalty"
    )
    max_words: int = Field(30, gt=0, description="longest caption")

    def changed(self, changes: Mapping[str, Any]) -> "SearchConfig":
        """Return this search with some fields changed; a wrong one is a `UsageError`."""
        for key in changes:
            if key not in SearchConfig.model_fields:
                allowed = did_you_mean(key, SearchConfig.model_fields)
                raise UsageError(f"A search has no '{key}'; {allowed}.")
        try:
            return SearchConfig.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise UsageError(f"search: {_explain(error, {})}") from None


class Recipe(Config):
    """Everything that decides a training run."""

    seed: int = Field(1, ge=0, description="decides weights, order and dropout")
    data: DataConfig
    encoder: EncoderConfig
    decoder: DecoderConfig
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)


def recipe_folder() -> Path:
    """Return the folder of the shipped recipes: in the package, or in the checkout."""
    package = Path(__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parents[1] / "recipes"


def find_recipe(name: str) -> Path:
    """Find a recipe by path, or by its name among the shipped ones (`scenes/soft`)."""
    shipped = recipe_folder()
    bare = name.removeprefix("recipes/").removesuffix(".yaml")
    for path in (Path(name), shipped / f"{bare}.yaml"):
        if path.is_file():
            return path
    names = [str(p.relative_to(shipped).with_suffix("")) for p in shipped.rglob("*.yaml")]
    raise UsageError(f"There is no recipe {name}; {did_you_mean(bare, names)}, or a YAML file.")


def read_recipe(path: Path | str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and change it by `key=value` words such as `training.epochs=3`.

    A relative `data.path` or `encoder.weights` is relative to the working directory. Every fault
    is a `UsageError` that names the key.
    """
    source = Path(path)
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The recipe {source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The recipe {source} is not UTF-8 text; save it as such.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"The recipe {source} is not valid YAML: {_where(error)}.") from None
    if not isinstance(tree, dict):
        raise UsageError(
            f"The recipe {source} has no keys; a recipe has {', '.join(Recipe.model_fields)}."
        )
    for override in overrides:
        _apply(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{source}: {_explain(error, tree)}") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(
            f"'{override}' does not change a recipe; write key=value, such as training.epochs=3."
        )
    *folders, last = key.split(".")
    for folder in folders:
        branch = tree.get(folder)
        if not isinstance(branch, dict):
            branch = tree[folder] = {}
        tree = branch
    try:
        tree[last] = _number(yaml.safe_load(text)) if text else None
    except yaml.YAMLError:
        tree[last] = text


def _number(value: Any) -> Any:
    """YAML 1.1 reads `1e-3` as text; a person means the number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", value):
        return float(value)
    return value


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _explain(error: ValidationError, tree: Mapping[str, Any]) -> str:
    """Say one sentence about each key; of a key and one inside it, about the inner one."""
    sentences: dict[str, str] = {}
    for fault in error.errors():
        place = _place(fault["loc"])
        kind = str(fault["type"])
        if kind.startswith("union_tag"):
            place, kind = [*place, "name"], "missing" if "not_found" in kind else "literal_error"
        sentences.setdefault(".".join(place), _sentence(kind, place, fault, tree))
    return " ".join(
        sentence
        for key, sentence in sentences.items()
        if not any(other.startswith(f"{key}.") for other in sentences)
    )


def _sentence(
    kind: str, place: list[str], fault: Mapping[str, Any], tree: Mapping[str, Any]
) -> str:
    key, facts = ".".join(place), fault.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _fields(Recipe, place[:-1], tree)
        return f"unknown key '{key}'; {did_you_mean(place[-1], allowed)}."
    if kind == "missing":
        return f"'{key}' is missing; add it, or type {_example(place, tree)}."
    value = fault["input"]["name"] if "tag" in facts else fault["input"]
    given = f"'{key}' is empty" if value is None else f"'{key}' is {value!r}"
    if kind == "literal_error":
        allowed = re.findall("'([^']+)'", facts.get("expected_tags") or facts["expected"])
        allowed += ["{last_stages: n}"] * (key == "encoder.trainable")
        return f"{given}; {did_you_mean(str(value), allowed)}."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{given}, but it is a section; type {_example(place, tree)}."
    limits = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    for limit in limits.keys() & facts.keys():
        return f"{given}; give a number {limits[limit]} {facts[limit]}."
    wanted = [phrase for start, phrase in _WANTED.items() if kind.startswith(start)]
    return f"{given}; give {wanted[0]}." if wanted else f"{given}: {fault['msg']}."


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text, in quotes if YAML takes it for something else",
}


def _example(place: list[str], tree: Mapping[str, Any]) -> str:
    """Give a word that sets the key at `place`, or the first field of the section there."""
    key = ".".join(place)
    if key == "encoder.options":
        return "encoder.options.NAME=VALUE"
    fields = ["name"] if key == "decoder" else _fields(Recipe, place, tree)
    return ".".join([key, *fields[:1]]) + "=VALUE"


def _decoders() -> tuple[type[BaseModel], ...]:
    return get_args(get_args(DecoderConfig)[0])


def _place(location: Sequence[int | str]) -> list[str]:
    """Leave out the branch of a union that Pydantic names in a place; people did not type it."""
    place = [str(part) for part in location]
    if place[0] == "decoder":
        return place[:1] + place[2:]
    if place[:2] == ["encoder", "trainable"]:
        return place[:2] + place[3:]
    return place


def _fields(model: type[BaseModel], place: list[str], tree: Mapping[str, Any]) -> list[str]:
    """Names allowed in the section at `place` of a recipe; none if it is not a section."""
    if not place:
        return list(model.model_fields)
    field = place[0]
    if place == ["decoder"]:
        name = tree["decoder"]["name"]
        match = [m for m in _decoders() if name in get_args(m.model_fields["name"].annotation)]
        return list(match[0].model_fields) if match else []
    annotation = model.model_fields[field].annotation
    options = get_args(annotation) if _is_union(annotation) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return _fields(option, place[1:], tree)
    return []


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)
