"""Training on shards equals training on the files that were packed into them."""

import json

import pytest
import torch

from cutline.config import read_recipe
from cutline.data.batches import CaptionedImages, ShardShuffle
from cutline.data.packing import pack
from cutline.data.readers import open_dataset
from cutline.network import build_network
from cutline.training.data import captioned_images, load_splits
from cutline.training.run import train
from cutline.vocabulary import Vocabulary
from support.sharded import scene_files
from support.tiny import no_graphs, write_recipe


def silent(title, total):
    return lambda _: None


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Scenes as files, tars and Parquet files."""
    pytest.importorskip("pyarrow")
    root = tmp_path_factory.mktemp("packed")
    files = open_dataset(scene_files(root / "files"))
    for kind in ("tar", "parquet"):
        pack(files, root / kind, kind=kind, per_shard=7)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["none", "all"])
def test_the_losses_of_shards_are_those_of_files(trainable, packed, tmp_path, monkeypatch):
    from cutline.training.module import TrainingModule

    losses, real = [], TrainingModule.training_step

    def told(self, *given):
        loss = real(self, *given)
        losses[-1].append(float(loss.detach()))
        return loss

    monkeypatch.setattr(TrainingModule, "training_step", told)
    scores = []
    for kind in ("files", "tar", "parquet"):
        words = [f"data.path={packed / kind}", f"encoder.trainable={trainable}"]
        words += [f"data.cache={tmp_path / 'cache'}"]
        losses.append([])
        with no_graphs():
            plan = read_recipe(write_recipe(tmp_path), words)
            found = train(plan, tmp_path / kind, say=lambda _: None, progress=silent)
        scores.append([epoch["val/cider_greedy"] for epoch in found.history])
    assert len(losses[0]) == 6
    assert losses[0] == losses[1] == losses[2]
    assert scores[0] == scores[1] == scores[2]


def test_features_of_shards_are_those_of_files_and_cached_by_shard(packed, tmp_path):
    cache = tmp_path / "cache"
    found = {}
    for kind in ("files", "tar", "parquet"):
        words = [f"data.path={packed / kind}", "encoder.trainable=none", f"data.cache={cache}"]
        recipe = read_recipe(write_recipe(tmp_path), words)
        torch.manual_seed(0)
        splits = load_splits(recipe)
        vocabulary = Vocabulary.build(splits.val[0].captions, min_frequency=1)
        network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary))
        before = set((cache / "features").glob("*"))
        images, notes = captioned_images(
            splits.train, network, vocabulary, recipe, silent, title="train"
        )
        made = set((cache / "features").glob("*")) - before
        assert (len(made), notes) == ((1, []) if kind == "files" else (4, []))
        found[kind] = [images[row] for row in range(len(images))]
    for kind in ("tar", "parquet"):
        for (ours, numbers, name), (theirs, *rest) in zip(found[kind], found["files"], strict=True):
            assert (ours == theirs).all()
            assert [numbers, name] == rest


def test_a_small_buffer_gives_one_order_to_tars_and_a_resumed_epoch_repeats_it(packed):
    examples = open_dataset(packed / "tar").split("train")
    orders = []
    for _ in range(2):
        sampler = ShardShuffle(examples, seed=3, buffer=10)
        sampler.set_epoch(1)
        orders.append([turn.row for turn in sampler])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(24))


def test_a_picture_that_cannot_be_read_is_left_out_and_named(packed, tmp_path):
    shard = tmp_path / "data" / "train-0.tar"
    shard.parent.mkdir()
    whole = bytearray((packed / "tar" / "train-00000.tar").read_bytes())
    at = whole.find(b"\x89PNG")
    whole[at : at + 100] = b"x" * 100
    shard.write_bytes(whole)
    (tmp_path / "data" / "val-0.tar").write_bytes((packed / "tar" / "val-00000.tar").read_bytes())
    words = [f"data.path={tmp_path / 'data'}", "encoder.trainable=none", "data.min_frequency=1"]
    recipe = read_recipe(write_recipe(tmp_path), [*words, f"data.cache={tmp_path / 'cache'}"])
    splits = load_splits(recipe)
    vocabulary = Vocabulary.build(splits.train[0].captions, min_frequency=1)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary))
    images, notes = captioned_images(
        splits.train, network, vocabulary, recipe, silent, title="train"
    )
    assert isinstance(images, CaptionedImages)
    assert len(images) == 6
    assert "train-0.tar/0.png" in notes[0]
    assert [images[row][2] for row in range(6)] == [f"{n}.png" for n in range(1, 7)]
    assert json.dumps(notes)
