"""Pictures in files, Parquet and tars, and what shards say of them."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

CUT = b"\xff\xd8\xff\xe0 no picture"


def jpeg(number: int) -> bytes:
    """A small picture, of each number its own."""
    buffer = io.BytesIO()
    colour = (number % 256, number // 256 % 256, 90)
    image = Image.new("RGB", (48, 40), colour)
    image.paste((255, 255, 255), (number % 30, 5, number % 30 + 12, 25))
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def write_jpegs(folder: Path, count: int) -> list[str]:
    """Write pictures into a folder; return their paths, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(jpeg(number))
    return [str(path) for path in paths]


def write_parquet(path: Path, values: list, *, column: str = "image", group: int = 10) -> Path:
    """Write a column beside another one, in row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({column: values, "label": list(range(len(values)))})
    pq.write_table(table, path, row_group_size=group)
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    """Write a WebDataset shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def rows_of(out: Path) -> list[dict]:
    """All rows of the shards of a folder, in their order."""
    rows: list[dict] = []
    for path in sorted(out.glob("part-*")):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            rows += pq.read_table(path).to_pylist()
        else:
            rows += map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return rows
