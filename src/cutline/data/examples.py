"""Examples: pictures, the captions people wrote for them, and a split."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL.Image import Image

from cutline.errors import UsageError, did_you_mean
from cutline.images import read_image

__all__ = ["Captions", "Dataset", "Example", "Photograph", "Picture"]


@runtime_checkable
class Picture(Protocol):
    """Anything that can be opened as an upright RGB image: a file, or a scene to be drawn."""

    @property
    def name(self) -> str:
        """Name for messages: a path, or `scene 17`."""

    def open(self) -> Image:
        """Return the picture, upright, in mode RGB."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture in a file."""

    path: Path

    @property
    def name(self) -> str:
        """The path, as given."""
        return str(self.path)

    def open(self) -> Image:
        """Read the file (raises `ImageError` when it cannot be)."""
        return read_image(self.path)


@dataclass(frozen=True, slots=True)
class Example:
    """One picture with its captions.

    `image_id` is unique within a data set; `split` is one of train, val, test.
    """

    image_id: str
    picture: Picture
    captions: tuple[str, ...]
    split: str


class Captions:
    """All captions of examples, to be read more than once and never held at once."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[str]:
        return (caption for example in self.examples for caption in example.captions)


@dataclass(frozen=True)
class Dataset:
    """All examples of a data set, and what its reader recognised and coped with.

    `damaged` are files of many images, such as shards, that could be read in part or not at all,
    each with the reason.
    """

    kind: str
    source: str
    examples: Sequence[Example]
    notes: tuple[str, ...] = field(default=())
    damaged: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)

    def split(self, name: str) -> Sequence[Example]:
        """Return the examples of one split; an unknown or empty split is a `UsageError`."""
        chosen = [example for example in self.examples if example.split == name]
        if not chosen:
            allowed = {example.split for example in self.examples}
            raise UsageError(f"{self.source} has no split '{name}'; {did_you_mean(name, allowed)}.")
        return chosen

    def describe(self) -> str:
        """Say in one line what was recognised."""
        captions = sum(len(example.captions) for example in self.examples)
        splits = Counter(example.split for example in self.examples)
        parts = ", ".join(f"{name} {count:,}" for name, count in splits.items())
        return f"{self.kind}: {len(self.examples):,} images, {captions:,} captions ({parts})"
