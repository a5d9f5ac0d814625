"""Workers: the classes whose objects Ray keeps as actors, each with a captioner of its own."""

import json
from collections.abc import Iterable
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from cutline.batch.pictures import Picture, of_cell, pictures_of
from cutline.batch.rows import Fields, captioned, columns, encoded, failed, table
from cutline.batch.shards import Shard
from cutline.batch.storage import Folder, Storage
from cutline.captioner import Captioner, Precision, Square, load
from cutline.errors import ImageError, UsageError
from cutline.files import printable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Captions", "RowWorker", "ShardWorker"]


class Captions(NamedTuple):
    """Options of captioning.

    Attributes:
        model: a folder that every node can read, or the name of a model that comes with Cutline.
        precision: of the decoder's products.
        beam: its width; by default the model's own.
        batch_size: pictures captioned together.
        threads: of a worker.
        strict: whether damaged pictures are refused.
    """

    model: str
    precision: Precision = "float32"
    beam: int | None = None
    batch_size: int = 16
    threads: int = 1
    strict: bool = False

    def captioner(self) -> Captioner:
        """Load the model."""
        return load(self.model, precision=self.precision, threads=self.threads)


class _Worker:
    """Captions pictures with a captioner that is loaded when the first one comes."""

    def __init__(self, captions: Captions) -> None:
        self._captions = captions

    @cached_property
    def _captioner(self) -> Captioner:
        return self._captions.captioner()

    def _rows(self, pictures: Iterable[Picture]) -> list[Fields]:
        """Return a row for each picture, in their order."""
        captioner, rows = self._captioner, dict[int, Fields]()

        def read(numbered: tuple[int, Picture]) -> Square:
            picture = numbered[1]
            if picture.source is None:
                raise ImageError(picture.reason)
            return captioner.square(
                picture.source, strict=self._captions.strict, name=printable(picture.name)
            )

        def left_out(numbered: tuple[int, Picture], reason: str) -> None:
            number, picture = numbered
            rows[number] = failed(picture.name, reason)

        for (number, picture), caption in captioner.caption_each(
            zip(count(), pictures, strict=False),
            read,
            captioner.search(beam=self._captions.beam),
            name=lambda numbered: printable(numbered[1].name),
            failed=left_out,
            batch_size=self._captions.batch_size,
        ):
            rows[number] = captioned(picture.name, caption, captioner.name)
        return [rows[number] for number in sorted(rows)]


class ShardWorker(_Worker):
    """Captions whole shards, and writes each into a file of its own.

    Args:
        captions: how.
        out: the folder of the files.
        form: their format.
    """

    def __init__(self, captions: Captions, out: str, form: str) -> None:
        super().__init__(captions)
        self._out = Folder(out)
        self._form = form

    def __call__(self, batch: "dict[str, np.ndarray[Any, Any]]") -> dict[str, list[str]]:
        """Caption the shards of a batch: `shard` (JSON) and `file` (name); say what was done."""
        return {
            "done": [
                json.dumps(self._written(Shard.from_json(shard), str(name)))
                for shard, name in zip(batch["shard"], batch["file"], strict=True)
            ]
        }

    def _written(self, shard: Shard, name: str) -> dict[str, Any]:
        rows = self._rows(pictures_of(shard))
        self._out.write(name, encoded(rows, self._form))
        reasons = [row["reason"] for row in rows if "reason" in row]
        return {
            "file": name,
            "captioned": len(rows) - len(reasons),
            "unsure": sum(bool(row.get("unsure")) for row in rows),
            "reasons": reasons,
        }


class RowWorker(_Worker):
    """Captions the rows of a table: takes a column of pictures out and puts captions in.

    Args:
        captions: how.
        column: of the pictures.
    """

    def __init__(self, captions: Captions, column: str) -> None:
        super().__init__(captions)
        self._column = column

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """Caption a batch of rows.

        Raises:
            UsageError: there is no such column, or one of another meaning where a caption goes.
        """
        if self._column not in batch.column_names:
            raise UsageError(
                f"There is no column {printable(self._column)} (columns: "
                f"{printable(', '.join(batch.column_names))}); give one of them as column."
            )
        rest = batch.drop_columns([self._column])
        if taken := sorted(set(rest.column_names) & set(columns().names)):
            raise UsageError(
                f"The columns {', '.join(taken)} are where captions go; rename them "
                "(dataset.rename_columns) before."
            )
        pictures = [
            of_cell(value, "", Storage(), "") for value in _values(batch.column(self._column))
        ]
        found = table(self._rows(_named(pictures)))
        for name in found.column_names:
            rest = rest.append_column(name, found.column(name))
        return rest


def _named(pictures: Iterable[Picture]) -> Iterable[Picture]:
    for picture in pictures:
        yield picture._replace(name=picture.name.removeprefix("/"))


def _values(column: Any) -> Iterable[Any]:
    """Yield the values of a column: arrays of a tensor column, else as Python has them."""
    import pyarrow as pa

    for chunk in column.chunks:
        if isinstance(chunk.type, pa.ExtensionType):
            yield from chunk.to_numpy(zero_copy_only=False)
        else:
            yield from chunk.to_pylist()
