"""Training data: usable examples of a recipe's data set, and the network's inputs of them.

With a frozen encoder, features are computed once into the cache; when it is trained, or sees
another view of a picture each time, pictures are fed.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialise

from cutline.config import Recipe
from cutline.data.augment import Augment
from cutline.data.batches import CaptionedImages, Inputs, Pictures
from cutline.data.cache import Bytes, cache_folder, cached_features
from cutline.data.examples import Dataset, Example, Photograph, Picture
from cutline.data.readable import find_unreadable
from cutline.data.readers import open_dataset
from cutline.encoders import Encoder
from cutline.errors import DataError
from cutline.network import Network
from cutline.vocabulary import Vocabulary

__all__ = ["Splits", "captioned_images", "load_splits"]

NAMED = 20  # pictures left out that are named, before the others are counted

Progress = Callable[[str, int], Callable[[int], None]]
"""Given a title and a total, starts a progress bar and returns what advances it."""


class Splits(NamedTuple):
    """The examples to train on and those to validate on; `notes` says what was left out."""

    dataset: Dataset
    train: list[Example]
    val: list[Example]
    notes: list[str]


def load_splits(recipe: Recipe) -> Splits:
    """Read the data set, and leave out what cannot be used: no captions, no file."""
    scenes = recipe.data.scenes.model_dump() if recipe.data.path == "scenes" else {}
    dataset = open_dataset(recipe.data.path, **scenes)
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
    pictures = [example.picture for example in examples]
    folder, notes = cache_folder(recipe.data.cache), list[str]()
    inputs: Inputs
    if network.encoder.trains or augment is not None:
        advance = progress(f"checking {title}", len(pictures))
        failed, notes = find_unreadable(pictures, folder=folder, progress=advance)
        kept = [row for row in range(len(examples)) if row not in failed]
        inputs = Pictures([pictures[row] for row in kept], network.encoder.preprocessing)
    else:
        table = cached_features(
            pictures,
            folder=folder,
            key=_encoder_key(network.encoder, recipe),
            shape=network.encoder.table,
            square=lambda picture: network.encoder.preprocessing.square(picture.open()),
            encode=lambda squares: _encode(network.encoder, squares),
            progress=progress(f"features of {title}", len(pictures)),
        )
        failed = table.failed
        kept = [row for row in range(len(examples)) if row not in failed]
        inputs = _Rows(table.features, kept)
    notes += _named(list(failed.values()), recipe)
    if not kept:
        raise DataError(
            f"Not one of the {len(examples)} {title} can be read, such as: {notes[-1]} "
            f"`cutline data check {recipe.data.path}` names each fault."
        )
    images = CaptionedImages(
        [examples[row] for row in kept],
        inputs,
        vocabulary,
        captions_per_image=recipe.data.captions_per_image,
        max_words=recipe.data.max_words,
        augment=augment,
        seed=recipe.seed,
    )
    return images, notes


class _Rows:
    """Some rows of a table."""

    def __init__(self, table: NDArray[np.float16], rows: Sequence[int]) -> None:
        self.table = table
        self.rows = rows

    def __getitem__(self, row: int, /) -> NDArray[np.float16]:
        chosen: NDArray[np.float16] = self.table[self.rows[row]]
        return chosen


def _named(reasons: Sequence[str], recipe: Recipe) -> list[str]:
    """Say which pictures are left out, and why; of very many, how many more."""
    notes = [f"left out: {reason}" for reason in reasons[:NAMED]]
    if len(reasons) > NAMED:
        notes.append(
            f"left out: {len(reasons) - NAMED:,} more; `cutline data check {recipe.data.path}` "
            "names all of them"
        )
    return notes


def _usable(examples: Sequence[Example], notes: list[str]) -> list[Example]:
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
