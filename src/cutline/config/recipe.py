"""The fields of a recipe, each documented where it is declared.

Unknown keys are errors, values don't change. Nothing here is handed to a layer: builders unpack it
into plain arguments.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "DataConfig",
    "DecoderConfig",
    "EncoderConfig",
    "LastStages",
    "NicConfig",
    "Recipe",
    "ScenesConfig",
    "SearchConfig",
    "SoftConfig",
    "TrainingConfig",
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
    threads: int | None = Field(
        None, gt=0, description="CPU threads; default: one or all, whichever is faster at the start"
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


class Recipe(Config):
    """Everything that decides a training run."""

    seed: int = Field(1, ge=0, description="decides weights, order and dropout")
    data: DataConfig
    encoder: EncoderConfig
    decoder: DecoderConfig
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
