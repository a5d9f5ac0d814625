"""What a network reads of a data set: pictures, or features from the cache."""

import numpy as np
import pytest
import torch

from cutline.config import read_recipe
from cutline.network import build_network
from cutline.training.data import captioned_images, load_splits
from cutline.vocabulary import Vocabulary
from support.tiny import write_recipe


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_cache_gives_what_the_encoder_gave_the_class_token_too(name, tmp_path):
    recipe = read_recipe(
        write_recipe(tmp_path),
        [
            f"encoder.name={name}",
            "encoder.stage=",
            "encoder.trainable=none",
            f"data.cache={tmp_path / 'cache'}",
        ],
    )
    splits = load_splits(recipe)
    vocabulary = Vocabulary.build(splits.val[0].captions, min_frequency=1)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary)).eval()

    def silent(title: str, total: int):
        return lambda _: None

    images, _ = captioned_images(splits.val, network, vocabulary, recipe, silent, title="val")
    cached = network.features(torch.from_numpy(np.stack([images[row][0] for row in range(3)])))
    squares = [network.encoder.preprocessing.square(e.picture.open()) for e in splits.val[:3]]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
    fresh = network.features(pixels)
    assert torch.allclose(cached.grid, fresh.grid, atol=1e-2)
    assert torch.allclose(cached.pooled, fresh.pooled, atol=1e-2)
    assert (cached.height, cached.width) == (fresh.height, fresh.width)
    is_mean = torch.allclose(fresh.pooled, fresh.grid.mean(1), atol=1e-3)
    assert is_mean == (name == "test_resnet")
