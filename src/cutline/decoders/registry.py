"""The decoders by name, built in or from outside, and how a recipe's fields become one of them."""

import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from cutline.config import DecoderConfig, OutsideDecoderConfig, training_fields
from cutline.config.outside import GROUP
from cutline.decoders.contract import Decoder
from cutline.decoders.head import Head, Headed
from cutline.errors import UsageError, did_you_mean, fault_reason

__all__ = ["admit", "build_decoder", "decoder_fields", "decoder_names", "register"]

_DECODERS: dict[str, type[Decoder]] = {}
_OUTSIDE: dict[str, type[Decoder]] = {}
GIVEN = {"vocabulary_size", "feature_size"}  # to every constructor


def register(name: str) -> Callable[[type[Decoder]], type[Decoder]]:
    """Make a decoder known by `name`; its recipe class in `cutline.config` has the same name."""

    def keep(decoder: type[Decoder]) -> type[Decoder]:
        _DECODERS[name] = decoder
        return decoder

    return keep


def decoder_names() -> list[str]:
    """Return the names of all decoders of the package."""
    return sorted(_DECODERS)


def build_decoder(config: DecoderConfig, *, vocabulary_size: int, feature_size: int) -> Decoder:
    """Build the decoder that `config` describes, with fresh weights.

    Raises:
        UsageError: there is none of this name, or it is from outside and was not admitted.
    """
    if isinstance(config, OutsideDecoderConfig):
        kind = _admitted(config.name)
        only_training = training_fields(decoder_fields(config.name))
        fields = {name: value for name, value in config.own.items() if name not in only_training}
    elif config.name in _DECODERS:
        kind = _DECODERS[config.name]
        fields = config.model_dump(exclude={"name", "head"} | training_fields(type(config)))
    else:
        raise UsageError(
            f"There is no decoder '{config.name}'; {did_you_mean(config.name, _DECODERS)}."
        )
    size = config.head or feature_size
    decoder = kind(vocabulary_size=vocabulary_size, feature_size=size, **fields)
    return Headed(Head(feature_size, config.head), decoder) if config.head else decoder


# --- from outside the package


def admit(config: DecoderConfig) -> DecoderConfig:
    """Import the decoder that a recipe names, if it is from outside, and check its fields.

    This runs the decoder's code: call it for names that the user gave, never for those of a model
    folder. From then on `build_decoder` knows it.

    Returns:
        The fields, the decoder's defaults among them.

    Raises:
        UsageError: it cannot be imported, is no decoder, or has not such fields.
    """
    if not isinstance(config, OutsideDecoderConfig):
        return config
    _OUTSIDE[config.name] = _imported(config.name)
    model = decoder_fields(config.name)
    try:
        own = model.model_validate(config.own).model_dump(mode="json")
        return OutsideDecoderConfig(name=config.name, head=config.head, **own)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        allowed = ", ".join(model.model_fields) or "none"
        raise UsageError(
            f"'decoder.{place}' of {config.name}: {fault_reason(fault['msg'])}; its fields are "
            f"{allowed}."
        ) from None


def decoder_fields(name: str) -> type[BaseModel]:
    """Return the class of the fields of an admitted decoder: its `config`, or its arguments."""
    kind = _admitted(name)
    if kind.config is not None:
        return kind.config
    hints = get_type_hints(kind.__init__)
    arguments: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.name not in GIVEN and parameter.kind is not parameter.VAR_KEYWORD
    }
    forbid = ConfigDict(extra="forbid", frozen=True)
    return create_model(kind.__name__, __config__=forbid, **arguments)


def _admitted(name: str) -> type[Decoder]:
    if name not in _OUTSIDE:
        raise UsageError(
            f"The decoder {name} is not part of Cutline, and its code is not imported because a "
            "model names it; caption on ONNX Runtime (backend='onnx'), train with a recipe that "
            "has this decoder.name, or call cutline.decoders.admit on its fields first."
        )
    return _OUTSIDE[name]


def _imported(name: str) -> type[Decoder]:
    points = entry_points(group=GROUP)
    try:
        if name in points.names:
            kind: Any = points[name].load()
        else:
            module, _, attribute = name.partition(":")
            kind = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module does when it is imported
        raise UsageError(
            f"decoder.name is {name}, which cannot be imported ({type(error).__name__}: {error}); "
            "give package.module:Class of a package that is installed or on PYTHONPATH."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Decoder)):
        raise UsageError(
            f"decoder.name is {name}, which is no cutline.decoders.Decoder; derive it from that "
            "class, and give it prepare, start, step and project."
        )
    return kind
