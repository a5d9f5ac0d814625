"""Shards: tars as WebDataset writes them, Parquet files as Hugging Face's datasets does.

A path is one shard, a glob of shards, or a folder of them. Where each name or folder says so
(`train-00000.tar`, `val/0.parquet`), this is the split; a column or JSON field `split` says it for
one image. Where shards say nothing, or all of them train, images are held out by name.
"""

import glob
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cutline.data.examples import Dataset
from cutline.data.readers.assemble import split_named
from cutline.data.readers.shards import parquet, tar
from cutline.data.readers.shards.examples import ShardDataset
from cutline.data.readers.shards.index import Samples, open_index
from cutline.errors import DataError

TAR_KIND, TAR_FILES = "WebDataset shards", "*.tar"
PARQUET_KIND, PARQUET_FILES = "Parquet shards", "*.parquet"
COMPRESSED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")

__all__ = ["PARQUET_FILES", "PARQUET_KIND", "TAR_FILES", "TAR_KIND", "find_parquet", "find_tar"]


def _find(path: Path, *, suffix: str) -> list[Path]:
    """Return the path if it is a shard, a glob that matches some, or a folder that holds some."""
    return [path] if _shards(path, suffix) else []


find_tar = partial(_find, suffix=".tar")
find_parquet = partial(_find, suffix=".parquet")


def read_tar(path: Path, folder: Path, progress: Callable[[int], None] = lambda _: None) -> Dataset:
    """Read tars; their index is kept in `folder`."""
    return _read(path, ".tar", TAR_KIND, tar.samples, folder, progress)


def read_parquet(
    path: Path, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> Dataset:
    """Read Parquet files; their index is kept in `folder`."""
    return _read(path, ".parquet", PARQUET_KIND, parquet.samples, folder, progress)


def _read(
    path: Path,
    suffix: str,
    kind: str,
    samples: Samples,
    folder: Path,
    progress: Callable[[int], None],
) -> Dataset:
    shards = _shards(path, suffix)
    root = Path(os.path.commonpath([shard.parent for shard in shards]))
    named = [_split_of(shard.relative_to(root)) for shard in shards]
    notes = []
    if None in named or set(named) == {"train"}:
        unnamed = [str(shard) for shard, split in zip(shards, named, strict=True) if not split]
        if len(unnamed) < len(shards) and unnamed:
            notes.append(
                f"names of shards are not their splits, as {unnamed[0]} names none; put 'train', "
                "'val' or 'test' into each name or folder."
            )
        named = [None] * len(shards)
    index = open_index(shards, samples, root=root, splits=named, folder=folder, progress=progress)
    return ShardDataset.of(index, kind=kind, source=path, notes=notes)


def _shards(path: Path, suffix: str) -> list[Path]:
    """List shards in a natural order: `2.tar` before `10.tar`."""
    if path.is_dir():
        found = [
            Path(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if name.lower().endswith(suffix) and not name.startswith(".")
        ]
    elif path.exists():
        found = [path] if path.name.lower().endswith(suffix) else []
    elif glob.has_magic(str(path)):
        found = [
            shard
            for given in glob.iglob(str(path), recursive=True)  # noqa: PTH207 - may be absolute
            for shard in _shards(Path(given), suffix)
        ]
    else:
        found = []
    return sorted(dict.fromkeys(found), key=_natural)


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    return [
        [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]
        for name in path.parts
    ]


def _split_of(path: Path) -> str | None:
    """Return the split that a folder or a word of a shard's name says, the folder first.

    >>> _split_of(Path("val/0.tar")), _split_of(Path("coco-train2017-00.tar"))
    ('val', 'train')
    """
    words = [*path.parts[:-1], *re.findall(r"[A-Za-z]+", path.stem)]
    return next(filter(None, map(split_named, words)), None)


def compressed(path: Path) -> DataError | None:
    """Return the error for compressed tars, of which nothing can be found by its offset."""
    if path.is_file() and path.name.lower().endswith(COMPRESSED):
        return DataError(
            f"{path} is a compressed tar, in which no picture can be found by its offset; unpack "
            f"it to a .tar first, as with: gunzip {path.name}"
        )
    return None
