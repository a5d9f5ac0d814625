"""Format recognition: which reader a path is for.

Where a folder holds several formats, the order of `FORMATS` decides, and a note names the rest.
"""

import glob
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from cutline.data.examples import Dataset
from cutline.data.readers import (
    captioned_folder,
    captions_csv,
    coco,
    flickr8k,
    imagefolder,
    karpathy,
)
from cutline.data.readers.files import name_some
from cutline.data.readers.shards import reading as shards
from cutline.errors import DataError, UsageError
from cutline.files import cache_folder

__all__ = ["FORMATS", "Format", "karpathy_file", "named_as_dataset", "open_dataset"]


class Format(NamedTuple):
    """A caption format: what people call it, its file names, and its reader's two functions."""

    kind: str
    files: str
    find: Callable[[Path], list[Path]]
    read: Callable[[Path], Dataset]


class Sharded(NamedTuple):
    """The same of a format whose reader keeps an index in the cache's folder."""

    kind: str
    files: str
    find: Callable[[Path], list[Path]]
    read: Callable[[Path, Path, Callable[[int], None]], Dataset]


FORMATS: tuple[Format | Sharded, ...] = (
    Format(karpathy.KIND, karpathy.FILES, karpathy.find, karpathy.read),
    Format(coco.KIND, coco.FILES, coco.find, coco.read),
    Format(flickr8k.KIND, flickr8k.FILES, flickr8k.find, flickr8k.read),
    Format(captions_csv.KIND, captions_csv.FILES, captions_csv.find, captions_csv.read),
    Format(imagefolder.KIND, " or ".join(imagefolder.FILES), imagefolder.find, imagefolder.read),
    Format(
        captioned_folder.KIND, captioned_folder.FILES, captioned_folder.find, captioned_folder.read
    ),
    Sharded(shards.TAR_KIND, shards.TAR_FILES, shards.find_tar, shards.read_tar),
    Sharded(shards.PARQUET_KIND, shards.PARQUET_FILES, shards.find_parquet, shards.read_parquet),
)
_LISTED = len(FORMATS) - 3  # the others look at every file, and are asked where none of these is
_SCENES = "scenes"


def open_dataset(
    path: str | Path,
    *,
    cache: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    **scene_options: Any,
) -> Dataset:
    """Read the data set at `path`, in whichever of `FORMATS` it is; `scenes` is the built-in one.

    Args:
        path: a file, a folder, a glob of shards, or `scenes`.
        cache: folder of the index of shards; None for the user's cache folder.
        progress: called for each shard that is indexed.
        scene_options: go to `cutline.data.scenes.scenes_dataset`.

    Raises:
        DataError: nothing is recognised there, or what is there is broken.
    """
    if str(path) == _SCENES:
        from cutline.data.scenes import scenes_dataset

        return scenes_dataset(**scene_options)
    if scene_options:
        given = ", ".join(sorted(scene_options))
        raise UsageError(f"{given} can only be given with 'scenes', not with {path}.")
    path = Path(path)
    try:
        return _read(path, _recognise(path), cache_folder(cache), progress)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def named_as_dataset(path: Path) -> bool:
    """Tell whether a path is a folder, or a file whose name is one of a data set's, but no JSON."""
    if path.suffix.lower() == ".json" and path.is_file():
        return False
    return path.is_dir() or any(format_.find(path) for format_ in FORMATS)


def karpathy_file(path: Path) -> Path | None:
    """Return the Karpathy JSON that a folder is read from, if it is."""
    files = karpathy.find(path) if path.is_dir() else []
    return files[0] if len(files) == 1 else None


def _recognise(path: Path) -> list[tuple[Format | Sharded, list[Path]]]:
    if refused := shards.compressed(path):
        raise refused
    if not path.exists() and not glob.has_magic(str(path)):
        hint = " (did you mean 'scenes'?)" if get_close_matches(str(path), [_SCENES]) else ""
        raise DataError(f"{path} does not exist{hint}. {_allowed()}")
    listed, walking = FORMATS[:_LISTED], FORMATS[_LISTED:]
    found = [(format_, files) for format_ in listed if (files := format_.find(path))]
    for format_ in walking if not found else ():
        if not found and (files := format_.find(path)):
            found = [(format_, files)]
    if not found and path.is_file():
        found = [(format_, [path]) for format_ in FORMATS if format_.kind == _sniff(path)]
    if not found:
        below = _data_sets_below(path)
        hint = f" (did you mean {name_some(below, 3)}?)" if below else ""
        raise DataError(f"{path} is not a data set that Cutline knows{hint}. {_allowed()}")
    return found


def _read(
    path: Path,
    found: list[tuple[Format | Sharded, list[Path]]],
    folder: Path,
    progress: Callable[[int], None],
) -> Dataset:
    (format_, files), *others = found
    if len(files) > 1:
        names = name_some([str(file) for file in files])
        raise DataError(f"{path} holds {len(files)} {format_.kind} files; give one: {names}.")
    if isinstance(format_, Sharded):
        return format_.read(files[0], folder, progress)
    dataset = format_.read(files[0])
    also = [f"{other.kind} ({where[0]})" for other, where in others]
    note = f"{path} also holds {' and '.join(also)}, not read; give its own path to read it."
    return replace(dataset, notes=(*([note] if also else []), *dataset.notes))


def _sniff(path: Path) -> str | None:
    """Recognise a file that was renamed, from how it begins or which keys it has."""
    if path.suffix.lower() == ".json":
        text = path.read_text("utf-8", errors="replace")
        keys = {coco.KIND: '"annotations"', karpathy.KIND: '"sentences"'}
        return next((kind for kind, key in keys.items() if key in text), None)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(10_000).rstrip("\n")  # it may be a film of many gigabytes
    if captions_csv.is_table(path):
        return captions_csv.KIND
    return flickr8k.KIND if flickr8k.LINE.fullmatch(line) else None


def _data_sets_below(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    return [str(folder) for folder in folders if any(one.find(folder) for one in FORMATS[:_LISTED])]


def _allowed() -> str:
    kinds = "; ".join(f"{one.files} ({one.kind})" for one in FORMATS)
    return (
        f"Give a file or a folder with {kinds}; or the built-in data set, as in "
        "'cutline data check scenes'."
    )
