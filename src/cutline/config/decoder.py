"""Recipe fields of the decoders: a class for each decoder."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializationInfo,
    WrapSerializer,
    WrapValidator,
    model_validator,
)

from cutline.config.base import Config
from cutline.config.marks import FREE, TRAINING
from cutline.config.outside import OutsideDecoderConfig, validated

__all__ = [
    "AdaptiveConfig",
    "CommonDecoderConfig",
    "DecoderConfig",
    "DotConfig",
    "HardConfig",
    "NicConfig",
    "RnnConfig",
    "SoftConfig",
    "SpatialConfig",
]

LARGEST = 16_384  # of a decoder's layers; the papers have 512 to 2048


class CommonDecoderConfig(Config):
    """Fields of every decoder."""

    embedding: int = Field(512, gt=0, le=LARGEST, description="size of a word's embedding")
    hidden: int = Field(512, gt=0, le=LARGEST, description="size of the hidden state")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="of words, states and outputs", json_schema_extra=FREE
    )
    head: int | None = Field(
        None,
        gt=0,
        le=LARGEST,
        description="project the features to this size first (linear + BatchNorm)",
    )


class LstmDecoderConfig(CommonDecoderConfig):
    """Fields of every decoder with an LSTM."""

    cell: Literal["scratch", "fused"] = Field(
        "fused", description="the LSTM: one linear map per gate, or all gates at once"
    )


class AdditiveDecoderConfig(LstmDecoderConfig):
    """Fields of every decoder with additive attention."""

    attention: int = Field(
        512, gt=0, le=LARGEST, description="size of the attention's hidden layer"
    )


class RnnConfig(CommonDecoderConfig):
    """The vanilla RNN."""

    name: Literal["rnn"] = "rnn"
    backward: Literal["auto", "manual"] = Field(
        "auto",
        description="back-propagation through time: by autograd, or written out by hand",
        json_schema_extra=FREE,
    )


class NicConfig(LstmDecoderConfig):
    """Show and Tell."""

    name: Literal["nic"] = "nic"
    layers: int = Field(1, gt=0, le=32, description="layers of the LSTM, with dropout between them")


class DotConfig(LstmDecoderConfig):
    """An LSTM with scaled dot-product attention."""

    name: Literal["dot"] = "dot"


class SoftConfig(AdditiveDecoderConfig):
    """Show, Attend and Tell, soft attention."""

    name: Literal["soft"] = "soft"
    penalty: float = Field(
        1.0, ge=0, description="lambda of the doubly stochastic penalty", json_schema_extra=TRAINING
    )


class HardConfig(AdditiveDecoderConfig):
    """Show, Attend and Tell, hard attention, trained by REINFORCE."""

    name: Literal["hard"] = "hard"
    expectation: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of captions that train on the expected context instead",
        json_schema_extra=FREE,
    )
    expectation_epochs: int = Field(
        0,
        ge=0,
        description="first epochs in which all of them do; later ones draw",
        json_schema_extra=FREE,
    )
    inference: Literal["argmax", "sample", "expectation"] = Field(
        "argmax", description="where to look when captioning", json_schema_extra=FREE
    )
    samples: int = Field(
        1,
        gt=0,
        le=1000,
        description="Monte Carlo samples of a caption's regions",
        json_schema_extra=TRAINING,
    )
    credit: Literal["caption", "reward_to_go"] = Field(
        "caption",
        description="reward of a sampled region: log-likelihood of the whole caption, or of the "
        "words from there on",
        json_schema_extra=TRAINING,
    )
    baseline: Literal["moving", "leave_one_out"] = Field(
        "moving",
        description="baseline of the reward: its moving average, or the other samples' mean",
        json_schema_extra=TRAINING,
    )
    reinforce_weight: float = Field(
        1.0, ge=0, description="lambda_r of REINFORCE", json_schema_extra=TRAINING
    )
    entropy_weight: float = Field(
        0.01, ge=0, description="lambda_e of the attention's entropy", json_schema_extra=TRAINING
    )
    penalty: float = Field(
        0.0, ge=0, description="lambda of the doubly stochastic penalty", json_schema_extra=TRAINING
    )

    @model_validator(mode="after")
    def _leave_one_out_has_others(self) -> Self:
        if self.baseline == "leave_one_out" and self.samples < 2:
            raise ValueError(
                "decoder.baseline=leave_one_out needs other samples, but decoder.samples is "
                f"{self.samples}; give decoder.samples=2 or more, or decoder.baseline=moving."
            )
        return self


class SpatialConfig(AdditiveDecoderConfig):
    """Spatial attention, driven by the new hidden state."""

    name: Literal["spatial"] = "spatial"


class AdaptiveConfig(AdditiveDecoderConfig):
    """Spatial attention with a visual sentinel."""

    name: Literal["adaptive"] = "adaptive"
    sentinel_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of words in training that only regions may help",
        json_schema_extra=FREE,
    )


BuiltIn = (
    RnnConfig | NicConfig | DotConfig | SoftConfig | HardConfig | SpatialConfig | AdaptiveConfig
)


def _dumped(config: Any, built_in: Callable[[Any], Any], info: SerializationInfo) -> Any:
    if isinstance(config, OutsideDecoderConfig):
        return config.model_dump(mode=info.mode)
    return built_in(config)


if TYPE_CHECKING:
    DecoderConfig = BuiltIn | OutsideDecoderConfig
else:  # one from outside has any name, which a discriminator cannot tell
    DecoderConfig = Annotated[
        BuiltIn,
        Field(discriminator="name"),
        WrapValidator(validated),
        WrapSerializer(_dumped),
    ]
