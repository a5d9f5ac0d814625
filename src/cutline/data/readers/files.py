"""File helpers of the readers: text, JSON of a known shape, folders of images."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from cutline.errors import DataError, fault_reason
from cutline.images import IMAGE_SUFFIXES

__all__ = [
    "IMAGE_FOLDERS",
    "ImageFolders",
    "counted",
    "is_picture",
    "name_some",
    "parse_json",
    "read_text",
    "unasked",
    "walk",
]

T = TypeVar("T")

IMAGE_FOLDERS = (
    "images",
    "Images",
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "flickr30k-images",
    "flickr30k_images",
)
_OTHER_PICTURES = frozenset({".heic", ".heif", ".avif", ".jxl", ".jp2"})
_UNION_MEMBER = re.compile(r"int|str|list\[.*\]")  # pydantic's steps into a union are no keys


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8 with or without its mark, or UTF-16 with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line} is not; "
            "save it again as UTF-8."
        ) from error


def parse_json(text: str, shape: type[T], *, where: str) -> T:
    """Return JSON text as a dataclass; what is not needed is ignored, what is missing is named."""
    try:
        return TypeAdapter(shape).validate_json(text)
    except ValidationError as error:
        raise DataError(_explain(error.errors(include_input=False)[0], where)) from None


def _explain(error: ErrorDetails, where: str) -> str:
    if error["type"] == "json_invalid":
        reason = error.get("ctx", {}).get("error", "it cannot be parsed")
        return f"{where} is not valid JSON: {reason}."
    keys = [key for key in error["loc"] if not _UNION_MEMBER.fullmatch(str(key))]
    if not keys:
        return f"{where} holds something else than a JSON object with keys."
    *parents, last = keys
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in parents)
    inside = f"{place.lstrip('.')} in {where}" if place else where
    if error["type"] == "missing":
        return f"{inside} has no '{last}', which this format needs."
    reason = fault_reason(error["msg"]).lower()
    return f"'{last}' of {inside} is not as this format needs it: {reason}."


def counted(count: int, thing: str) -> str:
    """Count in words that agree.

    >>> counted(1, "image"), counted(2000, "image")
    ('1 image', '2,000 images')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """List the first names, and say how many more there are.

    >>> name_some(["a.jpg", "b.jpg", "c.jpg"], most=2)
    'a.jpg, b.jpg and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


class ImageFolders:
    """The places where a data set's images may be, each listed at most once.

    An image is not opened, nor asked for by itself: Flickr8k would cost 8,000 calls.
    """

    def __init__(self, beside: Path, *, names: Sequence[str] = IMAGE_FOLDERS) -> None:
        above = Path(os.path.normpath(beside / ".."))  # of a file in annotations/ or text/
        folders = [place / name for place in (beside, above) for name in names]
        self._folders = [str(folder) for folder in folders if folder.is_dir()] + [str(beside)]
        self._listings: dict[str, frozenset[str]] = {}
        # beside the file, other things may lie than its images
        self._never_walked = {str(beside)} if names else set()
        self._found: set[str] = set()
        self._used: set[str] = set()
        self._asked = 0
        self._missing: list[str] = []

    def find(self, *names: str) -> Path:
        """Return where the image is, or where it should be; it may go by several relative names."""
        self._asked += 1
        for folder in self._folders:
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118 - called for every image
                if self.holds(path):
                    self._used.add(folder)
                    self._found.add(path)
                    return Path(path)
        self._missing.append(names[0])
        return Path(self._folders[0], names[0])

    def holds(self, path: str) -> bool:
        """Tell whether there is such a file, from the listing of its folder."""
        folder, name = os.path.split(path)
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder or "."))  # noqa: PTH208
            except OSError:
                self._listings[folder] = frozenset()
        return name in self._listings[folder]

    def notes(self) -> list[str]:
        """Say how many images were asked for in vain, and name some."""
        if not self._missing:
            return []
        return [
            f"not found in {' or '.join(self._folders)}: {len(self._missing):,} of "
            f"{counted(self._asked, 'image')}: {name_some(self._missing)}."
        ]

    def found(self) -> set[str]:
        """Return the pictures that were found."""
        return {os.path.normpath(path) for path in self._found}

    def pictures(self) -> set[str]:
        """Return all pictures where some were found: below a folder of images, or beside."""
        held = {
            os.path.join(folder, name)  # noqa: PTH118
            for folder in {os.path.dirname(path) for path in self._found}  # noqa: PTH120
            for name in self._listings[folder]
            if not name.startswith(".")
        }
        for folder in self._used - self._never_walked:
            held |= {str(here / name) for here, names in walk(Path(folder)) for name in names}
        return {os.path.normpath(path) for path in held if is_picture(path)}


def unasked(places: Sequence[ImageFolders]) -> list[str]:
    """Say how many pictures lie where the images were found, but have no row."""
    every = set[str]().union(*(folders.pictures() for folders in places))
    without = sorted(every - set[str]().union(*(folders.found() for folders in places)))
    if not without:
        return []
    return [f"{counted(len(without), 'picture')} without a row: {name_some(without, 3)}."]


def walk(folder: Path, *, strict: bool = False) -> Iterator[tuple[Path, list[str]]]:
    """List a folder and all below it, sorted, hidden ones left out.

    What cannot be listed is left out, or with `strict` a `DataError`.
    """

    def refuse(error: OSError) -> None:
        if strict:
            raise DataError(f"{error.filename} cannot be listed: {error.strerror}.") from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(here), sorted(name for name in names if not name.startswith("."))


def is_picture(name: str) -> bool:
    """Tell by the suffix."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - called for every file
    return suffix in IMAGE_SUFFIXES or suffix in _OTHER_PICTURES
