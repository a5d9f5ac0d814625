"""Batches: captions as numbers, sorted and padded; the order of an epoch."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from cutline.data import batches as module
from cutline.data.batches import Batch, CaptionedImages, EpochShuffle, Pictures, batches
from cutline.data.examples import Example
from cutline.errors import ImageError
from cutline.preprocessing import Preprocessing
from cutline.vocabulary import Vocabulary

PREPROCESSING = Preprocessing(6, "squash", "nearest", (0.5,) * 3, (0.5,) * 3)
CAPTIONS = {
    "red": ("one", "one two three", "one two"),
    "green": ("two",),
    "blue": ("three three three three", ""),
    "grey": ("two one", "one one one four"),
}
VOCABULARY = Vocabulary.build([c for all_ in CAPTIONS.values() for c in all_], min_frequency=1)


@dataclass
class Swatch:
    """A picture of one grey; counts how often it is opened."""

    shade: int
    opened: list[int] = field(default_factory=list)
    name: str = "a swatch"

    def open(self) -> Image.Image:
        self.opened.append(1)
        return Image.new("RGB", (6, 6), (self.shade, 0, 0))


def examples() -> list[Example]:
    return [
        Example(name, Swatch(shade), captions, "train")
        for shade, (name, captions) in enumerate(CAPTIONS.items())
    ]


def captioned(inputs=None, *, captions_per_image: int = 5, max_words: int = 50) -> CaptionedImages:
    pictures = Pictures([example.picture for example in examples()], PREPROCESSING)
    return CaptionedImages(
        examples(),
        inputs if inputs is not None else pictures,
        VOCABULARY,
        captions_per_image=captions_per_image,
        max_words=max_words,
    )


def only_batch(images: CaptionedImages, **options) -> Batch:
    [batch] = batches(images, batch_size=len(images), **options)
    return batch


def written(batch: Batch) -> dict[str, list[str]]:
    """What a batch says of each image, read back without its code."""
    found: dict[str, list[str]] = {}
    for image, name in enumerate(batch.ids):
        found[name] = []
        for row, length in zip(batch.words[image], batch.lengths[image], strict=True):
            if length:
                start, *words, end = VOCABULARY.words(row[: length + 1].tolist())
                assert (start, end) == ("<start>", "<end>")
                found[name].append(" ".join(words))
            assert (row[length + 1 if length else 0 :] == VOCABULARY.pad).all()
    return found


# --- collating


def test_a_batch_holds_every_caption_of_its_images():
    found = written(only_batch(captioned()))
    assert {name: sorted(said) for name, said in found.items()} == {
        name: sorted(said) for name, said in CAPTIONS.items()
    }


def test_lengths_count_the_words_to_predict_and_the_end():
    batch = only_batch(captioned())
    assert batch.words.shape == (4, 3, 6)
    assert batch.lengths[batch.ids.index("red")].tolist() == [4, 3, 2]
    assert batch.lengths[batch.ids.index("blue")].tolist() == [5, 1, 0]
    assert batch.lengths[batch.ids.index("green")].tolist() == [2, 0, 0]


def test_the_longest_come_first_so_that_little_is_wasted():
    batch = only_batch(captioned())
    longest = batch.lengths[:, 0]
    assert longest.tolist() == sorted(longest.tolist(), reverse=True)
    assert (batch.lengths.diff(dim=1) <= 0).all()
    assert batch.ids == ["blue", "grey", "red", "green"]


def test_inputs_stay_with_their_image():
    batch = only_batch(captioned())
    assert batch.inputs.shape == (4, 3, 6, 6)
    assert batch.inputs.dtype == torch.uint8
    shades = batch.inputs[:, 0, 0, 0].tolist()
    assert [list(CAPTIONS)[shade] for shade in shades] == batch.ids


def test_features_are_passed_on_in_half_precision():
    features = np.arange(4, dtype=np.float16)[:, None, None] * np.ones((1, 5, 2), np.float16)
    batch = only_batch(captioned(features))
    assert batch.inputs.shape == (4, 5, 2)
    assert batch.inputs.dtype == torch.float16
    assert [list(CAPTIONS)[int(row[0, 0])] for row in batch.inputs] == batch.ids


def test_only_so_many_captions_and_words_are_used():
    batch = only_batch(captioned(captions_per_image=2, max_words=3))
    assert written(batch)["red"] == ["one two three", "one"]
    assert written(batch)["blue"] == ["three three three", ""]


def test_an_image_without_captions_has_lengths_of_zero():
    some = [Example("bare", Swatch(0), (), "train"), *examples()]
    pictures = Pictures([example.picture for example in some], PREPROCESSING)
    images = CaptionedImages(some, pictures, VOCABULARY, captions_per_image=5, max_words=9)
    batch = only_batch(images)
    assert batch.ids[-1] == "bare"
    assert batch.lengths[-1].tolist() == [0, 0, 0]


def test_batches_follow_the_sampler_and_the_last_may_be_short():
    sampler = EpochShuffle(4, seed=3)
    order = [turn.row for turn in sampler]
    made = list(batches(captioned(), batch_size=3, sampler=sampler))
    assert [len(batch.ids) for batch in made] == [3, 1]
    names = [list(CAPTIONS)[row] for row in order]
    assert [set(batch.ids) for batch in made] == [set(names[:3]), set(names[3:])]


def test_without_a_sampler_the_order_is_that_of_the_examples():
    made = batches(captioned(), batch_size=1)
    assert [name for batch in made for name in batch.ids] == list(CAPTIONS)


# --- the order of an epoch


def test_an_epochs_order_is_a_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochShuffle(50, seed=seed)
        sampler.set_epoch(epoch)
        assert len(sampler) == 50
        turns = list(sampler)
        assert {turn.epoch for turn in turns} == {epoch}
        return [turn.row for turn in turns]

    assert order(1, 0) == order(1, 0)
    assert order(1, 5) == order(1, 5)
    orders = [order(1, 0), order(1, 1), order(1, 2), order(2, 0), order(0, 1)]
    assert len({tuple(each) for each in orders}) == 5
    assert all(sorted(each) == list(range(50)) for each in orders)


def test_a_sampler_asked_twice_answers_alike():
    sampler = EpochShuffle(20, seed=1)
    assert list(sampler) == list(sampler)


# --- pictures


def test_pictures_are_opened_once_and_kept():
    swatches = [Swatch(1), Swatch(2)]
    pictures = Pictures(swatches, PREPROCESSING)
    for _ in range(3):
        assert (pictures[1] == np.array([2, 0, 0])).all()
    assert [len(swatch.opened) for swatch in swatches] == [0, 1]


def test_pictures_that_do_not_all_fit_are_opened_again(monkeypatch):
    monkeypatch.setattr(module, "KEPT_IN_MEMORY", 2 * 3 * 6 * 6 - 1)
    swatches = [Swatch(1), Swatch(2)]
    pictures = Pictures(swatches, PREPROCESSING)
    for _ in range(3):
        assert pictures[1].shape == (6, 6, 3)
    assert len(swatches[1].opened) == 3
    assert pictures.kept == {}


def test_a_picture_that_cannot_be_read_says_so_each_time():
    pictures = Pictures([Broken(0)], PREPROCESSING)
    for _ in range(2):
        with pytest.raises(ImageError, match="it is broken"):
            pictures[0]


class Broken(Swatch):
    """A picture that cannot be read."""

    def open(self) -> Image.Image:
        raise ImageError("it is broken")


def test_a_picture_that_cannot_be_read_is_dropped_from_its_batch_and_named():
    some = [Example("broken", Broken(9, name="a broken one"), ("one",), "train"), *examples()]
    pictures = Pictures([example.picture for example in some], PREPROCESSING)
    images = CaptionedImages(some, pictures, VOCABULARY, captions_per_image=5, max_words=9)
    first, *rest = batches(images, batch_size=1)
    assert (first.ids, first.unreadable) == ([], (("a broken one", "it is broken"),))
    assert [batch.unreadable for batch in rest] == [()] * 4
    whole = only_batch(images)
    assert sorted(whole.ids) == sorted(CAPTIONS)
    assert len(whole.inputs) == len(whole.words) == len(whole.lengths) == 4
    assert whole.unreadable == first.unreadable
