"""CLIPScore: similarity of caption and picture, by a CLIP model that the user has.

    CLIP-S(c, v)       = 2.5 * max(cos(c, v), 0)
    RefCLIP-S(c, R, v) = harmonic mean of CLIP-S(c, v) and max(0, max_r cos(c, r))

with the vectors of "A photo depicts " + text and of the picture. The first needs no references.
Figures of different CLIP models cannot be compared, so model and weights are part of the
signature. Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning",
EMNLP 2021, https://arxiv.org/abs/2104.08718.

Shapes: `M` texts or pictures, `D` the model's vectors.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from PIL.Image import Image

from cutline.data.examples import Picture
from cutline.errors import MissingDependencyError, ModelError, UsageError, did_you_mean

try:
    import torch
    from torch import Tensor
    from torch.nn import functional as F
except ModuleNotFoundError:
    raise MissingDependencyError("CLIPScore", extra="clip") from None

__all__ = ["Clip", "ClipScores", "clip_score"]

PROMPT = "A photo depicts "
WEIGHT = 2.5
BATCH = 64


@dataclass(frozen=True)
class ClipScores:
    """`CLIPScore` (0 to 2.5) and `RefCLIPScore` of the corpus and of each image."""

    corpus: dict[str, float]
    per_image: dict[str, dict[str, float]]
    signature: str


class Clip:
    """A CLIP model of open_clip (timm's image towers included), from a local file.

    Args:
        name: as `open_clip.list_models()` has it, such as `ViT-B-32`.
        weights: a .safetensors file with its weights.

    Raises:
        MissingDependencyError: open_clip is not installed.
        UsageError: no such model, or a file that may hold pickled code.
        ModelError: the weights are not this model's.
    """

    def __init__(self, name: str, weights: Path) -> None:
        try:
            import open_clip
        except ModuleNotFoundError as error:
            raise MissingDependencyError("CLIPScore", extra="clip") from error
        if name not in open_clip.list_models():
            hint = did_you_mean(name, open_clip.list_models())
            raise UsageError(f"open_clip has no model '{name}'; {hint}.")
        if weights.suffix != ".safetensors" or not weights.is_file():
            raise UsageError(
                f"{weights} is no .safetensors file that is there; other files may hold pickled "
                "code and are never loaded. Save the weights with safetensors first."
            )
        try:
            model, self._look = open_clip.create_model_from_pretrained(name, str(weights))
            self._read = open_clip.get_tokenizer(name)
        except (AssertionError, RuntimeError, KeyError, ValueError, OSError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{weights} is not usable as open_clip's {name}: {first}") from error
        self._model = model.eval()
        self.signature = f"{name}@{_digest(weights)}"

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return vectors of length one (M, D)."""
        parts = [
            self._model.encode_text(self._read([PROMPT + text for text in texts[i : i + BATCH]]))
            for i in range(0, len(texts), BATCH)
        ]
        return F.normalize(torch.cat(parts).float(), dim=1)

    @torch.inference_mode()
    def pictures(self, pictures: Sequence[Image]) -> Tensor:
        """Return vectors of length one (M, D)."""
        pixels = torch.stack([self._look(picture) for picture in pictures])
        return F.normalize(self._model.encode_image(pixels).float(), dim=1)


def clip_score(
    clip: Clip,
    candidates: Mapping[str, str],
    pictures: Mapping[str, Picture],
    references: Mapping[str, Sequence[str]] | None = None,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> ClipScores:
    """Score captions by their pictures, and by references too where they are given.

    A picture that cannot be read raises `ImageError`: a mean over the others would be another
    figure.
    """
    images = list(candidates)
    per_image: dict[str, dict[str, float]] = {}
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH]
        seen = clip.pictures([pictures[image].open() for image in some])
        said = clip.texts([candidates[image] for image in some])
        fits = WEIGHT * (seen * said).sum(1).clamp(min=0)
        for image, text, fit in zip(some, said, fits, strict=True):
            per_image[image] = {"CLIPScore": float(fit)}
            if references is not None:
                agrees = (clip.texts(references[image]) @ text).max().clamp(min=0)
                per_image[image]["RefCLIPScore"] = float(_harmonic(fit, agrees))
        progress(len(some))
    names = list(next(iter(per_image.values()), {}))
    corpus = {name: fmean(row[name] for row in per_image.values()) for name in names}
    return ClipScores(corpus, per_image, f"images:{len(images)}|clip:{clip.signature}")


def _harmonic(a: Tensor, b: Tensor) -> Tensor:
    return 2 * a * b / (a + b).clamp(min=1e-12)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]
