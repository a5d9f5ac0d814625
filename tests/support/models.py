"""Tiny models with random weights, as they are before they are saved."""

from typing import Any

import torch
from pydantic import TypeAdapter

import cutline
from cutline.captioner import ModelConfig
from cutline.config import DecoderConfig, EncoderConfig, SearchConfig
from cutline.network import Model, build_network
from cutline.vocabulary import Vocabulary

CAPTION = "a red circle and a small blue square"


def model(
    decoder: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    **facts: Any,
) -> Model:
    """A model of fields of its decoder, its encoder, its search and its `config.json`."""
    torch.manual_seed(0)
    words = TypeAdapter(DecoderConfig).validate_python(
        {"name": "soft", "embedding": 8, "hidden": 12, "dropout": 0.3, **(decoder or {})}
    )
    eyes = EncoderConfig(
        **{"name": "test_resnet", "weights": "random", "size": 64, "stage": 2, **(encoder or {})}
    )
    vocabulary = Vocabulary.build([CAPTION], min_frequency=1)
    network = build_network(eyes, words, vocabulary_size=len(vocabulary)).eval()
    config = ModelConfig(
        cutline_version=cutline.__version__,
        encoder=eyes,
        decoder=words,
        vocabulary_size=len(vocabulary),
        preprocessing=network.encoder.preprocessing,
        search=SearchConfig(**{"beam": 3, "max_words": 6, **(search or {})}),
        **facts,
    )
    return Model(config, network.requires_grad_(False), vocabulary)
