"""Captioners with drawn weights at published sizes; all their captions go on for twenty words."""

from pathlib import Path
from typing import Any

import torch

from cutline import __version__
from cutline.captioner import Captioner, ModelConfig, Precision, load
from cutline.config import Recipe
from cutline.decoders import Soft
from cutline.network import Model, build_network
from cutline.vocabulary import Vocabulary

__all__ = ["BANNED", "END", "START", "STEPS", "WIDTH", "draw", "on_onnx"]

START, END, BANNED = 1, 2, [0, 1, 3]
STEPS, WIDTH = 20, 5


def draw(encoder: dict[str, Any], words: int) -> Model:
    """Draw a model with the decoder `soft`."""
    torch.manual_seed(0)
    recipe = Recipe.model_validate(
        {
            "data": {"path": "scenes"},
            "encoder": {"weights": "random", **encoder},
            "decoder": {"name": "soft", "dropout": 0.0},
        }
    )
    vocabulary = Vocabulary.build([f"word{n}" for n in range(words - 4)], min_frequency=1)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=words).eval()
    assert isinstance(network.decoder, Soft)
    with torch.no_grad():
        network.decoder.L_o.bias[END] = -100
    config = ModelConfig(
        cutline_version=__version__,
        encoder=recipe.encoder,
        decoder=recipe.decoder,
        vocabulary_size=words,
        preprocessing=network.encoder.preprocessing,
        search=recipe.search.model_copy(update={"beam": WIDTH, "max_words": STEPS}),
    )
    return Model(config, network, vocabulary)


def on_onnx(folder: Path, precision: Precision) -> Captioner:
    """Load a saved model on ONNX Runtime, with as many threads as PyTorch has."""
    return load(folder, precision=precision, threads=torch.get_num_threads())
