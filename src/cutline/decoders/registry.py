"""The decoders by name, and how a recipe's words become one of them."""

from collections.abc import Callable
from typing import Any

from cutline.config import DecoderConfig
from cutline.decoders.contract import Decoder
from cutline.decoders.head import Head, Headed
from cutline.errors import UsageError, did_you_mean

__all__ = ["build_decoder", "decoder_names", "register"]

_DECODERS: dict[str, type[Decoder]] = {}

# fields of a decoder's recipe that are not arguments of its constructor: training uses them
_NOT_ARGUMENTS = {
    "name", "head", "penalty",
    "samples", "credit", "baseline", "reinforce_weight", "entropy_weight",
}  # fmt: skip


def register(name: str) -> Callable[[type[Decoder]], type[Decoder]]:
    """Make a decoder known by `name`; its recipe class in `cutline.config` has the same name."""

    def keep(decoder: type[Decoder]) -> type[Decoder]:
        _DECODERS[name] = decoder
        return decoder

    return keep


def decoder_names() -> list[str]:
    """Return the names of all decoders."""
    return sorted(_DECODERS)


def build_decoder(config: DecoderConfig, *, vocabulary_size: int, feature_size: int) -> Decoder:
    """Build the decoder that `config` describes, with fresh weights."""
    if config.name not in _DECODERS:
        raise UsageError(
            f"There is no decoder '{config.name}'; {did_you_mean(config.name, _DECODERS)}."
        )
    arguments: dict[str, Any] = config.model_dump(exclude=_NOT_ARGUMENTS)
    decoder = _DECODERS[config.name](
        vocabulary_size=vocabulary_size,
        feature_size=config.head or feature_size,
        **arguments,
    )
    return Headed(Head(feature_size, config.head), decoder) if config.head else decoder
