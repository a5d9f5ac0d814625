"""Pictures in shards, each read by random access when it is opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cutline.data.readers.shards.parquet import cell
from cutline.errors import ImageError
from cutline.images import read_image

__all__ = ["ParquetPicture", "ShardFile", "ShardPicture", "TarPicture"]


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard as it was when it was indexed; `column` is that of the pictures in Parquet."""

    path: Path
    size: int
    changed: int
    column: str = ""

    def check(self, found: os.stat_result) -> None:
        """Refuse a file that is not as it was: its offsets would point to anything."""
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed):
            raise ImageError(
                f"{self.path} has changed since it was indexed; start again to index it anew."
            )


@dataclass(frozen=True, slots=True)
class ShardPicture:
    """A picture of a shard; `place` and `extent` say where, as those of `Sample` do."""

    shard: ShardFile
    key: str
    place: int
    extent: int

    @property
    def name(self) -> str:
        """Shard and key, for messages."""
        return f"{self.shard.path}/{self.key}"

    @property
    def identity(self) -> list[Any]:
        """Return what changes when the picture does, for caches."""
        shard = self.shard
        return [str(shard.path), shard.size, shard.changed, self.place, self.extent]

    def content(self) -> bytes | Path:
        """Return the bytes of the picture's file, or where it lies."""
        raise NotImplementedError

    def open(self) -> Image:
        """Read the picture (raises `ImageError` when it cannot be)."""
        return read_image(self.content(), name=self.name)


@dataclass(frozen=True, slots=True)
class TarPicture(ShardPicture):
    """A member of a tar: `extent` bytes from byte `place` on."""

    def content(self) -> bytes:
        """Read the member's bytes."""
        try:
            with self.shard.path.open("rb", buffering=0) as file:
                self.shard.check(os.fstat(file.fileno()))
                return os.pread(file.fileno(), self.extent, self.place)
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read ({error.strerror}).") from error


@dataclass(frozen=True, slots=True)
class ParquetPicture(ShardPicture):
    """A cell of a Parquet file: row `place` of row group `extent`."""

    def content(self) -> bytes | Path:
        """Read the cell's bytes, or the path of a file beside the shard."""
        try:
            self.shard.check(self.shard.path.stat())
        except OSError as error:
            raise ImageError(f"{self.name} cannot be read ({error.strerror}).") from error
        value = cell(self.shard.path, self.shard.column, self.extent, self.place)
        if isinstance(value, dict):
            value = value["bytes"] if value.get("bytes") is not None else value.get("path")
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str) or not value:
            raise ImageError(f"{self.name} is empty: there is no picture in its row.")
        if "://" in value:
            raise ImageError(f"{self.name} is the address {value}; fetch the picture first.")
        return self.shard.path.parent / value
