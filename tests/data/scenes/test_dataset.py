import time

import numpy as np
import pytest

from cutline.data.examples import Picture
from cutline.data.scenes import Scene, ScenePicture, captions, draw, scenes_dataset
from cutline.errors import UsageError


def ids(dataset, split):
    return [example.image_id for example in dataset.split(split)]


def test_a_picture_is_drawn_when_it_is_opened():
    picture = ScenePicture(17, side=48)
    assert isinstance(picture, Picture)
    assert picture.name == "scene 17"
    assert np.array_equal(picture.open(), draw(Scene.from_seed(17), 48))


def test_captions_belong_to_their_pictures():
    for example in scenes_dataset(train=20, val=5, test=5).examples:
        assert example.captions == captions(example.picture.scene)


def test_splits_have_the_sizes_asked_for():
    dataset = scenes_dataset(train=30, val=2, test=3, side=32)
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [30, 2, 3]
    assert dataset.kind == "scenes"
    assert dataset.describe() == "scenes: 35 images, 175 captions (train 30, val 2, test 3)"
    assert dataset.examples[0].picture.open().size == (32, 32)


def test_image_ids_are_unique():
    examples = scenes_dataset(train=50, val=50, test=50).examples
    assert len({example.image_id for example in examples}) == 150
    assert examples[17].image_id == "scene-000017"


def test_growing_the_training_split_leaves_the_others_as_they_are():
    small, large = scenes_dataset(train=10, val=5, test=5), scenes_dataset(train=99, val=5, test=5)
    assert ids(small, "val") == ids(large, "val")
    assert ids(small, "test") == ids(large, "test")
    assert ids(large, "train")[:10] == ids(small, "train")


def test_another_seed_has_no_scene_in_common():
    one, two = (
        scenes_dataset(train=20, val=20, test=20),
        scenes_dataset(train=20, val=20, test=20, seed=1),
    )
    seeds = [{example.picture.seed for example in dataset.examples} for dataset in (one, two)]
    assert not seeds[0] & seeds[1]


def test_an_empty_split_is_allowed_and_a_negative_one_refused():
    assert len(scenes_dataset(train=3, val=0, test=0).examples) == 3
    with pytest.raises(UsageError, match="val was to have -1"):
        scenes_dataset(train=3, val=-1)
    with pytest.raises(UsageError, match="whole number from 0, not -2"):
        scenes_dataset(seed=-2)


def test_thousands_of_scenes_are_described_in_a_moment():
    start = time.process_time()
    scenes_dataset(train=2000, val=0, test=0)
    assert time.process_time() - start < 2
