"""Recipes: what to train, on what, how; a YAML file and `key=value` changes to it.

Every field is documented where it is declared. An unknown key is an error that says which one was
probably meant. Nothing here is handed to a layer: builders unpack it into plain arguments.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    learning_rate: float = Field(1e-4, gt=0, description="of the encoder, when it is trained")
    options: dict[str, Any] = Field(
        default_factory=dict, description="passed on to timm, such as {pad_type: same}"
    )


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
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The recipe {source} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise UsageError(f"The recipe {source} is not valid YAML: {where}.") from None
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
    if not equals or not key:
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
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(error: ValidationError, tree: Mapping[str, Any]) -> str:
    sentences = []
    for fault in error.errors():
        place = [part for part in fault["loc"] if not _is_tag(part, fault["loc"])]
        key = ".".join(str(part) for part in place)
        if fault["type"] == "extra_forbidden":
            allowed = _fields(Recipe, place[:-1], tree)
            sentences.append(f"unknown key '{key}'; {did_you_mean(str(place[-1]), allowed)}.")
        elif fault["type"] == "missing":
            sentences.append(f"'{key}' is missing; add it, or type {key}=VALUE.")
        elif fault["type"] == "union_tag_invalid":
            given = str((tree.get("decoder") or {}).get("name"))
            allowed = [get_args(m.model_fields["name"].annotation)[0] for m in _decoders()]
            sentences.append(f"'{key}.name' is '{given}'; {did_you_mean(given, allowed)}.")
        elif fault["type"] == "union_tag_not_found":
            sentences.append(f"'{key}.name' is missing; add it, or type {key}.name=soft.")
        else:
            sentences.append(f"'{key}' is {fault['input']!r}: {_lower(fault['msg'])}.")
    return " ".join(dict.fromkeys(sentences))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _decoders() -> tuple[type[BaseModel], ...]:
    return get_args(get_args(DecoderConfig)[0])


def _is_tag(part: int | str, place: tuple[int | str, ...]) -> bool:
    """Pydantic puts the chosen branch of a union into an error's place; people did not type it."""
    tags = {get_args(model.model_fields["name"].annotation)[0] for model in _decoders()}
    inside_union = part in tags and place[0] == "decoder"
    return inside_union or part == "LastStages" or str(part).startswith("literal[")


def _fields(model: type[BaseModel], place: list[int | str], tree: Mapping[str, Any]) -> list[str]:
    """Names allowed in the section at `place` of a recipe."""
    if not place:
        return list(model.model_fields)
    field = str(place[0])
    if field == "decoder":
        name = (tree.get("decoder") or {}).get("name")
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
