"""Scenes as a data set: pictures drawn when they are opened, five captions each."""

from dataclasses import dataclass

from PIL.Image import Image

from cutline.data.examples import Dataset, Example
from cutline.data.scenes.drawing import draw
from cutline.data.scenes.scene import Scene
from cutline.data.scenes.sentences import captions
from cutline.errors import UsageError

__all__ = ["ScenePicture", "scenes_dataset"]

# Seeds of the data set `seed`: each split has this many to itself, one split after the other.
# However large a split grows, no scene is ever in two splits, nor in two data sets.
_ROOM = 10_000_000
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ScenePicture:
    """The picture of one scene, drawn when it is opened."""

    seed: int
    side: int = 64

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"scene {self.seed}"

    @property
    def scene(self) -> Scene:
        """The things in the picture."""
        return Scene.from_seed(self.seed)

    def open(self) -> Image:
        """Draw the picture."""
        return draw(self.scene, self.side)


def scenes_dataset(
    *, train: int = 12_000, val: int = 500, test: int = 500, side: int = 64, seed: int = 0
) -> Dataset:
    """Return a data set of scenes with five captions each; the pictures are drawn when opened.

    Example `i` of a split is the same scene whatever the sizes of the splits. Data sets of
    different `seed` have no scene in common.
    """
    if seed < 0:
        raise UsageError(f"a data set's seed is a whole number from 0, not {seed}.")
    examples: list[Example] = []
    for index, (split, size) in enumerate(zip(_SPLITS, (train, val, test), strict=True)):
        if not 0 <= size <= _ROOM:
            raise UsageError(
                f"a split has 0 to {_ROOM:,} scenes, but {split} was to have {size:,}."
            )
        first = (seed * len(_SPLITS) + index) * _ROOM
        examples += (_example(number, split, side) for number in range(first, first + size))
    return Dataset(kind="scenes", source=f"scenes (seed {seed})", examples=tuple(examples))


def _example(seed: int, split: str, side: int) -> Example:
    return Example(
        image_id=f"scene-{seed:06d}",
        picture=ScenePicture(seed, side),
        captions=captions(Scene.from_seed(seed)),
        split=split,
    )
