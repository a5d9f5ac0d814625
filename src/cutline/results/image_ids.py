"""COCO image ids: one for each picture of a run and of the file that it continues."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cutline.errors import DataError
from cutline.files import printable
from cutline.results.names import identity
from cutline.results.rows import StoredRow

__all__ = ["ImageIds", "image_id"]


def image_id(path: Path) -> int | str:
    """Return COCO's number of a picture, from a name that is digits but for COCO's own prefix.

    Any other picture goes by its name: Flickr8k has names that merely end in the same digits.
    """
    digits = re.fullmatch(r"(?:COCO_\w+_)?(\d+)", path.stem)
    return int(digits.group(1)) if digits else path.name


class ImageIds:
    """An id for each picture, no two alike.

    A picture whose number or name another has, too, goes by its path as given.
    """

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._taken: dict[str, str] = {}  # by id as text: the identity of the picture

    def prepare(self, images: list[Path], before: Iterable[StoredRow]) -> list[str]:
        """Get to know the pictures of a run, and the rows of an earlier one (absolute paths).

        Raises:
            DataError: a row that names no path may be of several of the pictures.
        """
        of = Counter(str(image_id(image)) for image in images)
        self._shared = {name for name, times in of.items() if times > 1}
        for row in before:
            name = str(row.image_id)
            if row.image is None and name in self._shared:
                raise DataError(
                    f"A row with image_id {printable(name)} may be of any of {of[name]} pictures "
                    "with that number or name; give another name to write to."
                )
            self._taken[name] = row.image or ""
        if not self._shared:
            return []
        alike = sum(of[name] for name in self._shared)
        return [f"{alike:,} pictures share a number or name; their image_id is their path."]

    def of(self, image: Path) -> int | str:
        """Return the id of a picture, which no other picture gets from now on."""
        picture, own = identity(image), image_id(image)
        choices = [own] if str(own) not in self._shared else []
        choices += [str(image), picture]
        chosen = next(
            (one for one in choices if self._taken.get(str(one), picture) == picture), picture
        )
        self._taken[str(chosen)] = picture
        return chosen
