"""What a network reads of a data set: pictures, or features from the cache."""

import numpy as np
import pytest
import torch

from cutline.config import read_recipe
from cutline.network import build_network
from cutline.training.data import captioned_images, load_splits
from cutline.vocabulary import Vocabulary
from support import tiny
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


# --- data.limit


def splits(tmp_path, *words, train=12, val=9):
    tmp_path.mkdir(exist_ok=True)
    path = tiny.write_photographs(tmp_path / "squares", train=train, val=val)
    recipe = tiny.write_recipe(tmp_path)
    return load_splits(read_recipe(recipe, [f"data.path={path}", *words]))


def names(examples):
    return [example.image_id for example in examples]


@pytest.mark.parametrize("limit", [1, 5, 9, 10, 12])
def test_a_limit_takes_the_first_images_and_no_more_of_validation(tmp_path, limit):
    whole, some = splits(tmp_path / "a"), splits(tmp_path / "b", f"data.limit={limit}")
    assert names(some.train) == names(whole.train)[:limit]
    assert names(some.val) == names(whole.val)[:limit]
    assert all(len(example.captions) == 2 for example in some.train), "images, not captions"
    wanted = "are used" if limit == 12 else f"trained on the first {limit} of 12 images"
    assert wanted in some.notes[-1]


def test_a_limit_above_what_there_is_is_said(tmp_path):
    found = splits(tmp_path, "data.limit=13")
    assert (len(found.train), len(found.val)) == (12, 9)
    assert "data.limit is 13, but there are 12 training images: all are used" in found.notes


def test_a_limit_counts_images_that_can_be_used(tmp_path):
    path = tiny.write_photographs(tmp_path / "squares", train=6, val=2)
    (path / "images" / "0.png").unlink()
    recipe = read_recipe(tiny.write_recipe(tmp_path), [f"data.path={path}", "data.limit=3"])
    assert names(load_splits(recipe).train) == ["1.png", "2.png", "3.png"]


def test_validation_is_of_the_training_images_where_asked(tmp_path):
    found = splits(tmp_path, "data.limit=4", "training.validate_on=train")
    assert found.val == found.train
    words = ["training.validate_on=train", "training.validate_images=3"]
    assert names(splits(tmp_path / "b", *words).val) == names(found.train)[:3]
