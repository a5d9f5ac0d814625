"""Training data: usable examples of a recipe's data set, and the network's inputs of them.

With a frozen encoder, features are computed once into the cache; when it is trained, or sees
another view of a picture each time, pictures are fed.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialise

from cutline.config import Recipe
from cutline.data.augment import Augment
from cutline.data.batches import CaptionedImages, Inputs, Pictures
from cutline.data.cache import Bytes, Halves, cache_folder, cached_features
from cutline.data.examples import Dataset, Example, Photograph, Picture
from cutline.data.readable import find_unreadable
from cutline.data.readers import open_dataset
from cutline.data.readers.shards import ShardExamples
from cutline.data.shard_features import PicturesOf, ShardFeatures
from cutline.encoders import Encoder
from cutline.errors import DataError
from cutline.network import Network
from cutline.vocabulary import Vocabulary

__all__ = ["Splits", "captioned_images", "load_splits"]

T = TypeVar("T")
NAMED = 20  # pictures left out that are named, before the others are counted

Progress = Callable[[str, int], Callable[[int], None]]
"""Given a title and a total, starts a progress bar and returns what advances it."""


class Splits(NamedTuple):
    """The examples to train on and those to validate on; `notes` says what was left out."""

    dataset: Dataset
    train: Sequence[Example]
    val: Sequence[Example]
    notes: list[str]


def load_splits(recipe: Recipe) -> Splits:
    """Read the data set, and leave out what cannot be used: no captions, no file."""
    scenes = recipe.data.scenes.model_dump() if recipe.data.path == "scenes" else {}
    dataset = open_dataset(recipe.data.path, cache=recipe.data.cache, **scenes)
    notes = list(dataset.notes)
    limit = recipe.data.limit
    usable = _usable(dataset.split("train"), notes)
    train = usable[:limit]
    if limit:
        notes.append(_limited(limit, len(usable)))
    val = train if recipe.training.validate_on == "train" else _usable(dataset.split("val"), notes)
    val = val[: recipe.training.validate_images][:limit]
    for name, examples in (("train", train), ("val", val)):
        if not examples:
            raise DataError(
                f"No image of the {name} split of {dataset.source} can be used; "
                f"`cutline data check {recipe.data.path}` names each fault."
            )
    return Splits(dataset, train, val, notes)


def captioned_images(
    examples: Sequence[Example],
    network: Network,
    vocabulary: Vocabulary,
    recipe: Recipe,
    progress: Progress,
    *,
    title: str,
    augment: Augment | None = None,
) -> tuple[CaptionedImages, list[str]]:
    """Pair examples with what the network reads of them; also say which could not be read."""
    pictures: Sequence[Picture]
    failed: dict[int, str] = {}
    if isinstance(examples, ShardExamples):
        pictures = PicturesOf(examples)
    else:
        pictures = [example.picture for example in examples]
    folder, notes = cache_folder(recipe.data.cache), list[str]()
    inputs: Inputs
    if network.encoder.trains or augment is not None:
        if not isinstance(examples, ShardExamples):  # those of shards are named when they turn up
            advance = progress(f"checking {title}", len(pictures))
            failed, notes = find_unreadable(pictures, folder=folder, progress=advance)
        kept = _rows(len(examples), failed)
        inputs = Pictures(_chosen(pictures, kept), network.encoder.preprocessing)
    else:
        table = partial(
            cached_features,
            folder=folder,
            key=_encoder_key(network.encoder, recipe),
            shape=network.encoder.table,
            square=lambda picture: network.encoder.preprocessing.square(picture.open()),
            encode=lambda squares: _encode(network.encoder, squares),
            progress=progress(f"features of {title}", len(pictures)),
        )
        if isinstance(examples, ShardExamples):
            inputs = features = ShardFeatures(examples, table)
            failed = features.failed
        else:
            found = table(pictures)
            inputs, failed = found.features, found.failed
        kept = _rows(len(examples), failed)
        inputs = _Rows(inputs, kept)
    notes += _named(list(failed.values()), recipe)
    if not kept:
        raise DataError(
            f"Not one of the {len(examples)} {title} can be read, such as: {notes[-1]} "
            f"`cutline data check {recipe.data.path}` names each fault."
        )
    images = CaptionedImages(
        _chosen(examples, kept),
        inputs,
        vocabulary,
        captions_per_image=recipe.data.captions_per_image,
        max_words=recipe.data.max_words,
        augment=augment,
        seed=recipe.seed,
    )
    return images, notes


def _rows(count: int, failed: Mapping[int, str]) -> Sequence[int]:
    """Return the rows that have not failed."""
    return [row for row in range(count) if row not in failed] if failed else range(count)


def _chosen(given: Sequence[T], rows: Sequence[int]) -> Sequence[T]:
    """Return some rows; of shards without reading them."""
    if len(rows) == len(given):
        return given
    if isinstance(given, ShardExamples | PicturesOf):
        return cast("Sequence[T]", given.take(rows))
    return [given[row] for row in rows]


class _Rows:
    """Some rows of a table."""

    def __init__(self, table: Inputs, rows: Sequence[int]) -> None:
        self.table = table
        self.rows = rows

    def __getitem__(self, row: int, /) -> Bytes | Halves:
        return self.table[self.rows[row]]


def _named(reasons: Sequence[str], recipe: Recipe) -> list[str]:
    """Say which pictures are left out, and why; of very many, how many more."""
    notes = [f"left out: {reason}" for reason in reasons[:NAMED]]
    if len(reasons) > NAMED:
        notes.append(
            f"left out: {len(reasons) - NAMED:,} more; `cutline data check {recipe.data.path}` "
            "names all of them"
        )
    return notes


def _usable(examples: Sequence[Example], notes: list[str]) -> Sequence[Example]:
    if isinstance(examples, ShardExamples):  # their index lists no others
        return examples
    kept = [example for example in examples if example.captions and _there(example.picture)]
    if left := len(examples) - len(kept):
        notes.append(
            f"left out: {left} of {len(examples)} images of {examples[0].split} "
            "that are missing or have no caption"
        )
    return kept


def _limited(limit: int, there: int) -> str:
    if limit >= there:
        return f"data.limit is {limit:,}, but there are {there:,} training images: all are used"
    return f"trained on the first {limit:,} of {there:,} images, validated on at most {limit:,}"


def _there(picture: Picture) -> bool:
    return not isinstance(picture, Photograph) or picture.path.is_file()


def _encoder_key(encoder: Encoder, recipe: Recipe) -> dict[str, Any]:
    tensors = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    weights = hashlib.sha256(serialise(tensors)).hexdigest()
    described = recipe.encoder.model_dump(include={"name", "stage", "options"})
    also = {"pooled": encoder.pools, "mirror": encoder.mirror}
    said = {name: True for name, value in also.items() if value}
    if encoder.kept_height == encoder.grid:  # else the map is kept as it was before pooling
        described["grid"] = encoder.grid
    facts = {**described, **said, "weights": weights}
    return {**facts, "preprocessing": vars(encoder.preprocessing)}


@torch.inference_mode()
def _encode(encoder: Encoder, squares: Bytes) -> NDArray[np.floating[Any]]:
    device = next(encoder.parameters()).device
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).to(device)
    table: NDArray[np.floating[Any]] = encoder.eval().pack(pixels).numpy(force=True)
    return table
