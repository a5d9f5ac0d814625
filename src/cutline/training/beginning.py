"""Initial network and vocabulary of a run: fresh, or those of a trained model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cutline.config import (
    DecoderConfig,
    EncoderConfig,
    OutsideDecoderConfig,
    Recipe,
    free_fields,
)
from cutline.decoders import decoder_fields
from cutline.errors import UsageError
from cutline.files import printable
from cutline.models import find_model
from cutline.network import Model, Network, build_network
from cutline.vocabulary import Vocabulary

__all__ = ["begin"]


def begin(
    recipe: Recipe, captions: Iterable[str], resumed: Path | None = None
) -> tuple[Network, Vocabulary]:
    """Build the network and the vocabulary of `captions`, or take both from `start_from`.

    A run that is resumed keeps the words of `resumed`, its last model: captions, and the words
    made of them, may have changed since.

    Raises:
        UsageError: the model that is begun with was built otherwise than the recipe says.
    """
    if recipe.training.start_from is None:
        words = resumed / "tokenizer.json" if resumed else None
        if words is not None and words.is_file():
            vocabulary = Vocabulary.load(words)
        else:
            vocabulary = Vocabulary.build(
                captions,
                min_frequency=recipe.data.min_frequency,
                kind=recipe.words.tokenizer,
                pattern=recipe.words.pattern,
            )
        network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary))
        return network, vocabulary
    folder = find_model(recipe.training.start_from)
    model = Model.read(folder)
    config, vocabulary = model.config, model.vocabulary
    if recipe.words.tokenizer == "characters" and vocabulary.spaced:
        raise UsageError(
            f"training.start_from: {printable(folder)} has words that are joined with spaces, the "
            "recipe says words.tokenizer=characters; leave it out, or begin with another model."
        )
    for part, theirs, ours in (
        ("encoder", config.encoder, recipe.encoder),
        ("decoder", config.decoder, recipe.decoder),
    ):
        _check_same(part, theirs, ours, folder)
    network = build_network(
        recipe.encoder,
        recipe.decoder,
        vocabulary_size=len(vocabulary),
        preprocessing=config.preprocessing,
    )
    network.load_state_dict(model.network.state_dict())
    return network, vocabulary


def _free(config: EncoderConfig | DecoderConfig) -> set[str]:
    """Name the fields that change no weight's shape or meaning: a second stage may have others."""
    if isinstance(config, OutsideDecoderConfig):
        return free_fields(decoder_fields(config.name))
    return free_fields(type(config))


def _check_same(
    part: str,
    theirs: EncoderConfig | DecoderConfig,
    ours: EncoderConfig | DecoderConfig,
    folder: Path,
) -> None:
    had: dict[str, Any] = theirs.model_dump(exclude=_free(theirs))
    wanted: dict[str, Any] = ours.model_dump(exclude=_free(ours))
    for field in {**wanted, **had}:
        if had.get(field) != wanted.get(field):
            raise UsageError(
                f"training.start_from: {folder} has {part}.{field}={had.get(field)}, the recipe "
                f"says {wanted.get(field)}; type {part}.{field}={had.get(field)}, or begin with "
                "another model."
            )
