"""Packing: any data set written as tar or Parquet shards, a shard at a time.

OUT/pack.json         which data set is packed and how; a second call goes on only with the same
OUT/SPLIT-00000.tar   or `.parquet`: each is written whole, and never again

A picture's file is copied byte for byte; one that is drawn when opened becomes a PNG.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cutline.data.examples import Dataset, Example, Photograph
from cutline.data.readers.shards import ShardPicture
from cutline.data.readers.shards.parquet import pyarrow
from cutline.data.readers.shards.sample import LARGEST_NAME, MEGABYTE
from cutline.errors import ImageError, UsageError
from cutline.files import printable, write_text, written
from cutline.images import IMAGE_SUFFIXES, MAX_BYTES

__all__ = ["Packed", "ShardFormat", "pack"]

ShardFormat = Literal["tar", "parquet"]
PLAN = "pack.json"
GROUP = 100  # rows that are read at once from Parquet, so few
SPLITS = ("train", "val", "test")


class Packed(NamedTuple):
    """Result: shards written now, shards that were there, and (name, reason) of what was left out.

    Of shards that were there, what was left out was said when they were written.
    """

    written: int
    before: int
    images: int
    left_out: list[tuple[str, str]]


class _Item(NamedTuple):
    key: str
    example: Example
    suffix: str
    content: bytes


def pack(
    dataset: Dataset,
    out: Path,
    *,
    kind: ShardFormat,
    per_shard: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Packed:
    """Write the shards of a data set into the folder `out`; go on where a call was cut off.

    Args:
        dataset: what is packed.
        out: a folder that does not exist, is empty, or holds a part of the same shards.
        kind: `tar` (WebDataset) or `parquet` (Hugging Face's image layout).
        per_shard: images of a shard.
        progress: called with the number of images done.

    Raises:
        UsageError: `out` holds something else, or cannot be written.
        MissingDependencyError: pyarrow, for Parquet, is not installed.
    """
    if kind == "parquet":
        pyarrow()
    present = {example.split for example in dataset.examples}
    splits = {name: dataset.split(name) for name in SPLITS if name in present}
    _agree(out, {"format": kind, "per_shard": per_shard, **_described(splits)})
    done, before, images, left_out, number = 0, 0, 0, list[tuple[str, str]](), 0
    for split, examples in splits.items():
        for shard, start in enumerate(range(0, len(examples), per_shard)):
            part = examples[start : start + per_shard]
            path = out / f"{split}-{shard:05d}.{kind}"
            if path.exists():
                before += 1
            else:
                items = _items(part, number, left_out, progress)
                with written(path, overwrite=False) as draft:
                    images += _write_tar(draft, items) if kind == "tar" else _write(draft, items)
                done += 1
            number += len(part)
    return Packed(done, before, images, left_out)


def _described(splits: dict[str, Sequence[Example]]) -> dict[str, Any]:
    """Return what the shards depend on: names, splits, captions, pictures."""
    digest = hashlib.sha256()
    for split, examples in splits.items():
        for example in examples:
            picture = example.picture
            identity = picture.identity if isinstance(picture, ShardPicture) else picture.name
            facts = [split, example.image_id, example.captions, identity]
            digest.update(json.dumps(facts).encode())
    counts = {split: len(examples) for split, examples in splits.items()}
    return {"images": counts, "digest": digest.hexdigest()[:24]}


def _agree(out: Path, plan: dict[str, Any]) -> None:
    """Write the plan, or compare it with the one that is there."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        write_text(out / PLAN, json.dumps(plan) + "\n", overwrite=False)
        return
    name = printable(out)
    try:
        there = json.loads((out / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{name} is not empty, and holds no shards that were begun here; give a new folder."
        ) from None
    if there != plan:
        differ = [key for key in plan if not isinstance(there, dict) or there.get(key) != plan[key]]
        raise UsageError(
            f"{name} holds shards of another data set, or written otherwise (its "
            f"{' and '.join(differ)} differ); give a new folder, or the same words as before."
        )


def _items(
    examples: Sequence[Example],
    first: int,
    left_out: list[tuple[str, str]],
    progress: Callable[[int], None],
) -> Iterator[_Item]:
    for number, example in enumerate(examples, start=first):
        try:
            suffix, content = _content(example)
            if not example.captions:
                raise ImageError(f"{example.image_id} has no captions.")
            if len(content) > MAX_BYTES:
                raise ImageError(
                    f"{example.image_id} has {len(content) / MEGABYTE:,.0f} MB, more than the "
                    f"{MAX_BYTES / MEGABYTE:,.0f} allowed in a shard."
                )
        except (ImageError, OSError) as error:
            left_out.append((example.image_id, str(error)))
        else:
            yield _Item(f"{number:09d}", example, suffix, content)
        progress(1)


def _content(example: Example) -> tuple[str, bytes]:
    """Return the suffix of a picture's file, and its bytes."""
    picture = example.picture
    where = picture.path if isinstance(picture, Photograph) else None
    if isinstance(picture, ShardPicture):
        found = picture.content()
        if isinstance(found, bytes):
            return _suffix(picture.key), found
        where = found
    if where is not None:
        return _suffix(where.name), where.read_bytes()
    stream = io.BytesIO()
    picture.open().save(stream, "PNG")
    return ".png", stream.getvalue()


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if suffix in IMAGE_SUFFIXES else ".jpg"


def _write_tar(draft: Path, items: Iterator[_Item]) -> int:
    """Write members KEY.jpg and KEY.json; the same images give the same bytes."""
    count = 0
    with (
        draft.open("wb") as stream,
        tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for count, item in enumerate(items, start=1):  # noqa: B007
            about = {"image_id": item.example.image_id, "captions": list(item.example.captions)}
            text = json.dumps(about, ensure_ascii=True).encode()
            for suffix, content in ((item.suffix, item.content), (".json", text)):
                info = tarfile.TarInfo(item.key + suffix)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return count


def _write(draft: Path, items: Iterator[_Item]) -> int:
    """Write columns image, captions, image_id as `datasets.load_dataset` reads them."""
    arrow = pyarrow()
    from pyarrow.parquet import ParquetWriter

    text = arrow.string()
    image = arrow.struct([("bytes", arrow.binary()), ("path", text)])
    features = {
        "image": {"_type": "Image"},
        "captions": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
        "image_id": {"dtype": "string", "_type": "Value"},
    }
    schema = arrow.schema(
        [("image", image), ("captions", arrow.list_(text)), ("image_id", text)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    count = 0
    with ParquetWriter(draft, schema) as file:
        rows: list[dict[str, Any]] = []
        for count, item in enumerate(items, start=1):  # noqa: B007
            rows.append(
                {
                    "image": {"bytes": item.content, "path": item.key + item.suffix},
                    "captions": list(item.example.captions),
                    "image_id": item.example.image_id[:LARGEST_NAME],
                }
            )
            if len(rows) == GROUP:
                file.write_table(arrow.Table.from_pylist(rows, schema))
                rows = []
        if rows:
            file.write_table(arrow.Table.from_pylist(rows, schema))
    return count
