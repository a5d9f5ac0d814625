"""Scenes: pictures of coloured shapes, true captions, and where each mentioned thing is.

    words         the categories of words
    dice          choices that depend on a seed alone
    outlines      the shapes as polygons
    scene         things on a background; boxes and masks
    drawing       a scene as a picture
    facts         when a relation or a place is clear, and when it holds
    descriptions  a thing in more words or fewer
    sentences     the writer: captions of a scene
    reader        a caption as phrases and facts
    truth         whether a caption is true, and what its words denote
    pointing      whether attention peaks on a thing
    dataset       all of it as a `Dataset`

>>> scene = Scene.from_seed(17)
>>> caption = captions(scene)[0]
>>> is_true(caption, scene)
True
"""

from cutline.data.scenes.dataset import ScenePicture, scenes_dataset
from cutline.data.scenes.drawing import draw
from cutline.data.scenes.pointing import chance, points_at
from cutline.data.scenes.reader import Reading, read
from cutline.data.scenes.scene import Background, Scene, Thing
from cutline.data.scenes.sentences import captions
from cutline.data.scenes.truth import grounding, is_true

__all__ = [
    "Background",
    "Reading",
    "Scene",
    "ScenePicture",
    "Thing",
    "captions",
    "chance",
    "draw",
    "grounding",
    "is_true",
    "points_at",
    "read",
    "scenes_dataset",
]
