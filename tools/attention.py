"""Draw docs/images/attention.png: a caption, and where the captioner looked for each of its words.

python tools/attention.py runs/demo/model   needs the model of `make demo`

The scene is one that the model never saw: of the test scenes whose caption is true, the one that
names most objects and has the largest share of its attention on them when it names them.
"""

import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cutline
from cutline.captioner import Caption, Captioner
from cutline.data.readers import open_dataset
from cutline.data.scenes import Scene, ScenePicture, draw, grounding, is_true, points_at
from cutline.explain import explain

Floats = NDArray[np.floating]

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "attention.png"
LOOKED_THROUGH = 500  # scenes
SIDE = 320  # pixels of the drawn scene
WORDS = range(9, 12)  # of a caption: with the picture itself, two rows of panels


def clearness(caption: Caption, scene: Scene) -> float:
    """Return how clearly a caption points: the number of object words, and their attention on it.

    The attention is a share from 0 to 1, the mean over object words and the words before them,
    mostly colours. A caption that is not true, or has an object word that does not point, has 0.
    """
    named = grounding(caption.words, scene) if is_true(caption.text, scene) else {}
    if caption.attention is None or not named:
        return 0.0
    if not all(points_at(caption.attention[t], things, scene) for t, things in named.items()):
        return 0.0
    words = {word: things for t, things in named.items() for word in (t - 1, t)}
    shares = [share(caption.attention[t], things, scene) for t, things in words.items()]
    return len(named) + float(np.mean(shares)) * caption.confidence


def share(attention: Floats, things: Collection[int], scene: Scene) -> float:
    """Return the share of attention (h, w) in the cells that show one of these things."""
    cells = np.eye(attention.size).reshape(-1, *attention.shape)
    shown = np.array([points_at(cell, things, scene) for cell in cells]).reshape(attention.shape)
    return float(attention[shown].sum())


def best_scene(captioner: Captioner) -> tuple[Image.Image, Caption]:
    """Return the picture and the caption that show best where the captioner looks."""
    pictures = [example.picture for example in open_dataset("scenes").split("test")]
    scenes = [p.scene for p in pictures[:LOOKED_THROUGH] if isinstance(p, ScenePicture)]
    several = [scene for scene in scenes if len(scene.things) > 1]
    drawn = [draw(scene, SIDE) for scene in several]
    captions = captioner.caption(drawn)
    fitting = [
        (clearness(caption, scene), image, caption)
        for scene, image, caption in zip(several, drawn, captions, strict=True)
        if len(caption.words) in WORDS
    ]
    _, image, caption = max(fitting, key=lambda found: found[0])
    return image, caption


def main(model: str) -> None:
    """Draw the picture with a model."""
    image, caption = best_scene(cutline.load(model))
    explain(image, caption, TARGET, overwrite=True)
    print(f"{TARGET.name}: {caption.text}")


if __name__ == "__main__":
    main(sys.argv[1])
