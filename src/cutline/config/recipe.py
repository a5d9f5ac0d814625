"""The fields of a recipe, each documented where it is declared.

Unknown keys are errors, values don't change. Nothing here is handed to a layer: builders unpack it
into plain arguments.
"""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cutline.config.base import Config
from cutline.config.decoder import DecoderConfig
from cutline.config.marks import FREE

__all__ = [
    "LARGEST_SIDE",
    "TEACHER_FORCED_LOSS",
    "AugmentConfig",
    "DataConfig",
    "EncoderConfig",
    "LastStages",
    "Recipe",
    "ScenesConfig",
    "ScheduledSamplingConfig",
    "SearchConfig",
    "SelfCriticalConfig",
    "TrainingConfig",
    "WordsConfig",
]

TEACHER_FORCED_LOSS = "val/teacher_forced_cross_entropy_per_word"  # as it is logged

# Bounds that no captioner comes near: a recipe or a stranger's model beyond them is a mistake.
LARGEST_SIDE = 1024  # pixels, as timm's largest has
LARGEST_GRID = 64  # regions along a side
LARGEST_OPTION = 10_000
LARGEST_OPTIONS = 4_000


class ScenesConfig(Config):
    """Size and seed of the built-in data set `scenes`."""

    train: int = Field(12_000, gt=0, description="scenes to train on")
    val: int = Field(500, gt=0, description="scenes to choose the model on")
    test: int = Field(500, gt=0, description="scenes never seen in training")
    side: int = Field(64, ge=32, description="side of the picture in pixels")
    seed: int = Field(0, ge=0, description="another seed draws other scenes")


class AugmentConfig(Config):
    """Augmentation of training pictures, drawn anew each time one is read."""

    crop: float = Field(
        0.6, gt=0, le=1, description="smallest part cut out and enlarged, as a share of the area"
    )
    flip: float = Field(
        0.5,
        ge=0,
        le=1,
        description="how often it is mirrored, unless a caption of it says left or right",
    )
    colour: float = Field(
        0.2, ge=0, lt=1, description="how far brightness, contrast and saturation go from 1"
    )


class DataConfig(Config):
    """The data set: pictures, captions, the vocabulary, augmentation."""

    path: str = Field(description="a data set that `cutline data check` recognises, or `scenes`")
    captions_per_image: int = Field(5, gt=0, description="captions used of each image")
    min_frequency: int = Field(5, gt=0, description="rarer words become <unk>")
    max_words: int = Field(50, gt=0, le=1000, description="longer captions are cut here")
    limit: int | None = Field(
        None,
        gt=0,
        description="train on the first so many images only (not captions), and validate on no "
        "more than so many; default: all",
    )
    shuffle_buffer: int = Field(
        20_000, gt=0, description="images of shards that are shuffled with each other"
    )
    workers: int = Field(0, ge=0, description="processes that read pictures while others train")
    cache: str | None = Field(
        None, description="folder of the feature cache; default: the user's cache folder"
    )
    augment: AugmentConfig | None = Field(
        None, description="change training pictures by chance; {} for crop, flip and colour"
    )
    scenes: ScenesConfig = Field(ScenesConfig(), description="used when path is `scenes`")


class LastStages(Config):
    """Train the last `n` stages of the encoder."""

    last_stages: int = Field(gt=0)


class EncoderConfig(Config):
    """A timm backbone as an encoder."""

    name: str = Field(max_length=200, description="any timm model, such as tf_efficientnet_lite0")
    weights: str = Field(
        "download",
        description="`download` (timm's pretrained), `random`, or a local .safetensors file",
        json_schema_extra=FREE,
    )
    stage: int | None = Field(
        None, description="which of the backbone's stages to tap; default: its final features"
    )
    grid: int | None = Field(
        None,
        gt=0,
        le=LARGEST_GRID,
        description="regions along each side: the map is averaged over a grid of so many by "
        "adaptive pooling, 14 for 14x14, as the tutorials do; default: the map's own",
    )
    size: int | None = Field(
        None, ge=16, le=LARGEST_SIDE, description="input side in pixels; default: timm's own"
    )
    resize: Literal["squash", "crop", "pad"] = Field(
        "squash", description="how a picture becomes a square"
    )
    trainable: Literal["none", "all"] | LastStages = Field(
        "none", description="none, all, or {last_stages: n}", json_schema_extra=FREE
    )
    positions: bool = Field(
        False, description="add a learned vector to each region; for an encoder that is trained"
    )
    mirror: bool = Field(
        False,
        description="see a picture's mirror image, too, and take the mean; not while it is trained",
        json_schema_extra=FREE,
    )
    learning_rate: float = Field(
        1e-4, gt=0, description="of the encoder, when it is trained", json_schema_extra=FREE
    )
    batch_norm: Literal["trained", "frozen"] = Field(
        "trained",
        description="BatchNorm in the stages that are trained: trained too, or frozen (faster)",
        json_schema_extra=FREE,
    )
    unfreeze_epoch: int = Field(
        1,
        gt=0,
        description="first epoch in which the encoder is trained; it is frozen before",
        json_schema_extra=FREE,
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="passed on to timm, such as {pad_type: same}"
    )

    @field_validator("options")
    @classmethod
    def _options_are_few_and_small(cls, options: dict[str, Any]) -> dict[str, Any]:
        left = LARGEST_OPTIONS
        parts: list[Any] = [options]
        while parts and left > 0:
            part = parts.pop()
            left -= len(part) if isinstance(part, str) else 1
            if isinstance(part, dict | list | tuple):
                parts += [*part, *part.values()] if isinstance(part, dict) else part
            if isinstance(part, int | float) and not abs(part) <= LARGEST_OPTION:
                raise ValueError(
                    f"encoder.options has {part:.3g}; numbers of at most {LARGEST_OPTION:,} are "
                    "allowed"
                )
        if left <= 0:
            raise ValueError(
                f"encoder.options has more than {LARGEST_OPTIONS:,} letters and values"
            )
        return options

    @model_validator(mode="after")
    def _what_trains_is_trainable(self) -> "EncoderConfig":
        late = self.unfreeze_epoch > 1
        for name, given in (("positions", self.positions), ("unfreeze_epoch", late)):
            if given and self.trainable == "none":
                raise ValueError(
                    f"encoder.{name} is of an encoder that is trained, but encoder.trainable is "
                    "none; give encoder.trainable=all or encoder.trainable.last_stages=2"
                )
        return self


class WordsConfig(Config):
    """Tokenizer, and initial values of the word embedding."""

    tokenizer: Literal["words", "characters"] = Field(
        "words",
        description="words between spaces, or characters of languages written without (Chinese, "
        "Japanese, Thai, Lao, Khmer, Burmese); words of other scripts stay whole",
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        description="a regular expression of what is a word, such as `[a-z]+`; default: what "
        "stands between spaces and punctuation other than ' and -",
    )
    vectors: str | None = Field(
        None,
        description="a file of GloVe-format vectors, .txt or .txt.gz, as long as decoder.embedding;"
        " default: drawn at random",
    )
    frozen: bool = Field(False, description="leave the embedding as the vectors are")

    @model_validator(mode="after")
    def _frozen_are_given(self) -> "WordsConfig":
        if self.frozen and self.vectors is None:
            raise ValueError(
                "words.frozen leaves the vectors as they are, but none are given; give "
                "words.vectors=FILE.txt, or words.frozen=false"
            )
        return self


class ScheduledSamplingConfig(Config):
    """Scheduled sampling: how often training reads the model's own word instead of the true one."""

    start: int = Field(1, gt=0, description="epoch of the first increase; until then, never")
    increase: float = Field(0.05, gt=0, le=1, description="added to the probability each time")
    every: int = Field(5, gt=0, description="epochs from one increase to the next")
    maximum: float = Field(0.25, gt=0, le=1, description="largest probability")


class SelfCriticalConfig(Config):
    """Self-critical training: samples of each image, and the baseline of their rewards."""

    samples: int = Field(5, gt=0, description="captions drawn of each image")
    baseline: Literal["greedy", "leave_one_out"] = Field(
        "leave_one_out",
        description="the greedy caption's reward, or the mean reward of the other samples",
    )

    @model_validator(mode="after")
    def _leave_one_out_has_others(self) -> "SelfCriticalConfig":
        if self.baseline == "leave_one_out" and self.samples == 1:
            raise ValueError(
                "training.self_critical.baseline=leave_one_out needs other samples, but there is "
                "one only; give samples=5, or baseline=greedy"
            )
        return self


class TrainingConfig(Config):
    """Objective, optimiser, schedules, validation."""

    objective: Literal["likelihood", "self_critical"] = Field(
        "likelihood", description="the references' words, or CIDEr-D of the decoder's own captions"
    )
    start_from: str | None = Field(
        None, description="folder of a model to begin with, its words included; default: anew"
    )
    self_critical: SelfCriticalConfig = Field(
        SelfCriticalConfig(), description="used when objective is self_critical"
    )
    epochs: int = Field(10, gt=0, description="passes over the training images")
    batch_size: int = Field(
        32, gt=0, description="images in a batch, each with its captions; of all devices together"
    )
    optimizer: Literal["AdamW", "Adam", "SGD", "RMSprop"] = Field(
        "AdamW", description="PyTorch's optimiser of that name: AdamW, Adam, SGD, RMSprop"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of the decoder")
    momentum: float = Field(0.0, ge=0, lt=1, description="of SGD and RMSprop")
    weight_decay: float = Field(
        1e-4,
        ge=0,
        description="of matrices; biases and norms have none. AdamW decays the weights themselves, "
        "the other optimisers add to the gradient",
    )
    warmup_steps: int = Field(
        100,
        ge=0,
        description="steps until the full learning rate; at most a tenth of the run's steps",
    )
    schedule: Literal["cosine", "plateau", "step", "constant"] = Field(
        "cosine",
        description="how learning rates fall after the warm-up: cosine, plateau, step, constant",
    )
    decay_factor: float = Field(
        0.5, gt=0, lt=1, description="plateau and step: what the learning rates are multiplied by"
    )
    decay_epochs: int = Field(
        2,
        gt=0,
        description="plateau: when validation has not improved for so many epochs; "
        "step: every so many",
    )
    gradient_clip: float = Field(5.0, gt=0, description="largest norm of the gradient")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability given to other words")
    scheduled_sampling: ScheduledSamplingConfig | None = Field(
        None, description="read own words too (Bengio et al. 2015); default: only true ones"
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="keep an exponential moving average (EMA) of the weights, of this decay",
    )
    patience: int | None = Field(
        None, gt=0, description="stop when validation has not improved for so many epochs"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="arithmetic, in Lightning's words"
    )
    threads: int | None = Field(
        None, gt=0, description="CPU threads; default: one or all, whichever is faster at the start"
    )
    devices: int | None = Field(
        None,
        gt=0,
        description="GPUs or CPU processes of each machine that share each batch; default: all "
        "GPUs, or one CPU process",
    )
    nodes: int = Field(1, gt=0, description="machines that train together")
    compile: bool | None = Field(
        None,
        description="compile inner loops, on a CPU with a C++ compiler; default: in long trainings",
    )
    validate_images: int | None = Field(
        None, gt=0, description="validate on so many images only; default: all"
    )
    validate_on: Literal["val", "train"] = Field(
        "val",
        description="split of the validation; train for an exercise in overfitting, which asks "
        "whether the training captions come back",
    )
    validate_beam: int = Field(
        1, gt=0, le=100, description="beam width of the captions by which the best epoch is chosen"
    )
    monitor: Literal["CIDEr", "BLEU-4", "loss"] = Field(
        "CIDEr",
        description="what chooses the best epoch on validation: CIDEr or BLEU-4 of generated "
        "captions, or loss, which is teacher-forced; of equal epochs the lower loss",
    )
    logger: Literal["tensorboard", "wandb", "mlflow", "csv"] = Field(
        "tensorboard", description="where curves go: tensorboard, wandb, mlflow, csv"
    )
    log_every: int | None = Field(
        None, gt=0, description="print a line every so many steps; default: one each epoch only"
    )
    log_images: int = Field(
        2,
        ge=0,
        le=64,
        description="validation images whose captions and attention are logged after each epoch",
    )

    @model_validator(mode="after")
    def _momentum_is_of_an_optimizer_that_has_it(self) -> "TrainingConfig":
        if self.momentum and self.optimizer not in ("SGD", "RMSprop"):
            raise ValueError(
                f"training.momentum={self.momentum:g} is of SGD and RMSprop, but "
                f"training.optimizer is {self.optimizer}; give training.optimizer=SGD, or leave "
                "training.momentum out"
            )
        return self

    @property
    def search_name(self) -> str:
        """The search of validation, as it is named in logged scores: `greedy` or `beam_5`."""
        return "greedy" if self.validate_beam == 1 else f"beam_{self.validate_beam}"

    @property
    def monitored(self) -> str:
        """The figure by which the best epoch is chosen, as it is logged."""
        return {
            "CIDEr": f"val/cider_{self.search_name}",
            "BLEU-4": f"val/bleu4_{self.search_name}",
            "loss": TEACHER_FORCED_LOSS,
        }[self.monitor]


class SearchConfig(Config):
    """Beam search, unless a command says otherwise."""

    beam: int = Field(5, gt=0, le=100, description="beam width; 1 is greedy")
    length_penalty: float = Field(
        0.0, ge=0, le=10, description="score = log-probability / length ** length_penalty"
    )
    max_words: int = Field(30, gt=0, le=1000, description="longest caption")


class Recipe(Config):
    """Everything that decides a training run."""

    seed: int = Field(1, ge=0, description="decides weights, order and dropout")
    data: DataConfig
    encoder: EncoderConfig
    decoder: DecoderConfig
    words: WordsConfig = Field(default_factory=WordsConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
