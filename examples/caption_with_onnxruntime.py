"""Caption a picture with a model folder: numpy, Pillow and ONNX Runtime, no Cutline.

    python examples/caption_with_onnxruntime.py MODEL_FOLDER photo.jpg

docs/model-folder.md describes each of the steps below.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

START, END = 1, 2  # numbers of the words <start> and <end>, in every model
FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}


def read_pixels(photo, preprocessing):
    """Return a picture as the encoder sees it: bytes (1, S, S, 3), in RGB."""
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    side = (preprocessing["size"],) * 2
    method = FILTERS.get(preprocessing["interpolation"], Image.Resampling.BICUBIC)
    if preprocessing["resize"] == "squash":
        return np.asarray(image.resize(side, method))[None]
    if preprocessing["resize"] == "crop":
        return np.asarray(ImageOps.fit(image, side, method))[None]
    return np.asarray(ImageOps.pad(image, side, method, color=(127, 127, 127)))[None]


def caption(folder, photo):
    """Return a picture's caption: at each step, the most probable word."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = {number: word for word, number in tokenizer["model"]["vocab"].items()}
    paths = [str(folder / f"{name}.onnx") for name in ("encode", "start", "step")]
    encode, start, step = (onnxruntime.InferenceSession(path) for path in paths)
    pixels = {"pixels": read_pixels(photo, config["preprocessing"])}
    grid, pooled = encode.run(["grid", "pooled"], pixels)
    looked = {"grid": grid, "pooled": pooled}  # a decoder reads one of them, or both
    asked = {value.name: looked[value.name] for value in start.get_inputs()}
    names = [value.name for value in start.get_outputs()]
    begun = dict(zip(names, start.run(names, asked), strict=True))
    kept = {name: begun[name] for name in names if name.startswith("memory.")}
    states = {name: begun[name][:, None] for name in names if name.startswith("state.")}
    word, found = START, []
    for _ in range(config["search"]["max_words"]):
        given = {**kept, **states, "words": np.array([[word]]), "count": np.array([1])}
        best, *new = step.run(["best_words", *(f"new.{name}" for name in states)], given)
        states, word = dict(zip(states, new, strict=True)), int(best[0, 0, 0])
        if word == END:
            break
        found.append(words[word])
    return " ".join(found)


if __name__ == "__main__":
    print(caption(Path(sys.argv[1]), sys.argv[2]))
