"""The smallest training run that is one: a few scenes, a small encoder, seconds."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

RECIPE = """
seed: 3
data: {path: scenes, min_frequency: 1, max_words: 20, scenes: {train: 24, val: 6, test: 6}}
encoder: {name: test_resnet, weights: random, size: 64, stage: 2, trainable: all}
decoder: {name: soft, embedding: 16, hidden: 24, attention: 12, dropout: 0.2, penalty: 0.5}
training: {epochs: 2, batch_size: 8, learning_rate: 0.003, warmup_steps: 2, log_images: 0}
search: {beam: 2, max_words: 12}
"""


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """Write the tiny recipe into `folder`."""
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return path


COLOURS = ("red", "blue", "green", "white")


def write_photographs(folder: Path, *, train: int = 8, val: int = 4) -> Path:
    """Write a data set of squares of one colour into files `0.png`, `1.png`, ... of `images/`."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(train + val):
        colour = COLOURS[number % len(COLOURS)]
        Image.new("RGB", (40, 40), colour).save(folder / "images" / f"{number}.png")
        captions = [{"raw": f"a {colour} square"}, {"raw": f"this is {colour}"}]
        split = "train" if number < train else "val"
        rows.append({"filename": f"{number}.png", "split": split, "sentences": captions})
    content = {"dataset": "squares", "images": rows}
    (folder / "dataset_squares.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@contextlib.contextmanager
def no_graphs() -> Iterator[None]:
    """Save models without tracing them, which takes seconds each, and caption on PyTorch."""
    from cutline.captioner import loading

    def on_torch(folder, *_):
        return loading._on_torch(folder, "float32", None, "cpu")

    with pytest.MonkeyPatch.context() as during:
        during.setattr("cutline.network.graphs.write_graphs", lambda *_: None)
        during.setattr(loading, "_on_onnx", on_torch)
        yield
