"""Column names of images and captions in tables and JSON: one list for all readers."""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

__all__ = [
    "CAPTIONS",
    "IMAGES",
    "PICTURES",
    "PREDICTIONS",
    "REFERENCES",
    "RUNNING",
    "column",
    "plain",
]

# The first that is there is preferred.
IMAGES = (
    "image_id", "cocoid", "image", "file_name", "filename", "image_name", "image_path",
    "image_file", "img", "img_id", "img_name", "img_path", "file_path", "filepath", "path", "file",
    "name", "image_key",
)  # fmt: skip
# The same for whoever needs the picture itself.
PICTURES = (
    "file_name", "filename", "image", "image_name", "image_path", "image_file", "img", "img_name",
    "img_path", "file_path", "filepath", "path", "file", "name", "image_id",
)  # fmt: skip
# Numbers of rows or of questions as often as of images, so they count where nothing else does.
RUNNING = ("id", "question_id", "imgid", "key", "uid")

CAPTIONS = ("caption", "captions", "text", "comment", "sentence", "raw", "prompt")
PREDICTIONS = (
    "prediction", "pred", "predicted_caption", "generated", "generated_caption", "generated_text",
    "hypothesis", "hyp", "caption", "captions", "text", "sentence", "comment", "response",
    "answer", "output", "prompt",
)  # fmt: skip
REFERENCES = ("references", "refs", "ground_truth", "gt", "gts", *CAPTIONS, "answer")


def column(given: Collection[str], allowed: Sequence[str]) -> str | None:
    """Return the first of the allowed names that is there.

    >>> column(["path", "Caption"], CAPTIONS), column(["path", "caption"], CAPTIONS)
    (None, 'caption')
    """
    return next((name for name in allowed if name in given), None)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return a column's name as the lists above spell it.

    >>> plain(' "File Name"'), plain("imageId"), plain("Image-ID")
    ('file_name', 'image_id', 'image_id')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip(' \t"'))
    return re.sub(r"[ -]+", "_", words).lower()
