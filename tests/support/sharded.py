"""Scenes as files, and tars made by hand, for the tests of shards."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from cutline.data.scenes import scenes_dataset


def scene_files(folder: Path, *, train: int = 24, val: int = 6) -> Path:
    """Write scenes as PNG files with a Karpathy JSON beside them."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, example in enumerate(scenes_dataset(train=train, val=val, test=0).examples):
        example.picture.open().save(folder / "images" / f"{number}.png")
        said = [{"raw": caption} for caption in example.captions]
        rows.append({"filename": f"{number}.png", "split": example.split, "sentences": said})
    content = {"dataset": "scenes", "images": rows}
    (folder / "dataset_scenes.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def picture(colour: str = "red") -> bytes:
    """Return the bytes of a small PNG."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path: Path, members: dict[str, bytes | str | tarfile.TarInfo]) -> Path:
    """Write a tar of members, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
