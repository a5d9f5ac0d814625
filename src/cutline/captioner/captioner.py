"""The facade: load a captioner, caption pictures, save it.

Shapes: `S` side of the encoder's input.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import torch

from cutline.captioner.caption import Caption
from cutline.captioner.folder import ModelConfig, network_of, read_folder, write_folder
from cutline.captioner.generate import generate
from cutline.captioner.network import Network
from cutline.captioner.ready import Ready
from cutline.captioner.storage import Storage, check_finite, restore, squeeze
from cutline.captioner.sureness import Sureness
from cutline.captioner.timings import Timings
from cutline.config import SearchConfig, change_search
from cutline.data.cache import Bytes
from cutline.decoders import Decoder, Precision
from cutline.errors import ModelError, UsageError
from cutline.functional import Features
from cutline.images import Source, read_image
from cutline.models import SHIPPED, find_model
from cutline.preprocessing import Area
from cutline.vocabulary import Vocabulary

__all__ = ["Captioner", "Square", "in_batches", "load"]

ImageLike = Source


class Square(NamedTuple):
    """A picture ready for the encoder: bytes (S, S, 3), and which part of the picture they show."""

    pixels: Bytes
    area: Area


class Captioner:
    """A trained captioner.

    >>> import cutline
    >>> captioner = cutline.load("runs/demo/model")             # doctest: +SKIP
    >>> captioner.caption("photo.jpg").text                     # doctest: +SKIP
    'a large red circle and a small blue square'
    """

    def __init__(
        self,
        config: ModelConfig,
        network: Network,
        vocabulary: Vocabulary,
        *,
        sureness: Sureness | None = None,
        name: str = "model",
        precision: Precision = "float32",
    ) -> None:
        self.config = config
        self.network = network
        self.vocabulary = vocabulary
        self.sureness = sureness
        self.name = name
        self.ready = Ready(network, precision)
        self.timings = Timings()

    def save(self, folder: Path | str) -> None:
        """Write the model folder (SPEC 8), whole or not at all."""
        write_folder(Path(folder), self.config, self.network, self.vocabulary, self.sureness)

    def stored_as(self, storage: Storage) -> "Captioner":
        """Round the weights to what `storage` keeps of them, here and wherever they are saved."""
        small = squeeze(self.network.state_dict(), storage)
        check_finite(small, f"{self.name} as {storage}", advice="keep it as float32")
        kept = restore(small)
        self.network.load_state_dict(kept)
        self.config = self.config.model_copy(update={"storage": storage})
        return self

    def looking(self, *, size: int | None = None, mirror: bool | None = None) -> "Captioner":
        """Return a captioner of the same weights that looks at pictures otherwise than in training.

        Larger pictures than in training may help: a crop of training shows things larger than
        they are in a whole picture (Touvron et al. 2019, arXiv 1906.06423). What was scored and
        calibrated before is left out.

        Args:
            size: side of the encoder's input in pixels; by default as it is.
            mirror: whether to see the mirror image, too; by default as it is.

        Raises:
            UsageError: the encoder's weights are for one size only.
        """
        asked = {"size": size, "mirror": mirror}
        changes = {name: value for name, value in asked.items() if value is not None}
        encoder = self.config.encoder.model_validate(
            {**self.config.encoder.model_dump(), **changes}
        )
        seen = self.config.preprocessing
        preprocessing = replace(seen, size=seen.size if size is None else size)
        changed = {"encoder": encoder, "preprocessing": preprocessing, "scores": {}}
        config = self.config.model_copy(update={**changed, "sureness": None})
        try:
            network = network_of(config, self.network.state_dict())
        except ModelError:
            raise UsageError(
                f"The encoder of {self.name} has weights for pictures of {seen.size} pixels only; "
                "leave the size as it is."
            ) from None
        return Captioner(
            config, network, self.vocabulary, name=self.name, precision=self.ready.precision
        )

    def to(self, device: str | torch.device) -> "Captioner":
        """Move to a device, such as `cuda`."""
        self.network.to(device)
        return self

    @overload
    def caption(self, images: Sequence[ImageLike], **search: Any) -> list[Caption]: ...

    @overload
    def caption(self, images: ImageLike, **search: Any) -> Caption: ...

    def caption(
        self, images: ImageLike | Sequence[ImageLike], **search: Any
    ) -> Caption | list[Caption]:
        """Caption one picture, or a list of them in batches.

        Args:
            images: a path, bytes, a file opened with `rb`, a PIL image, a numpy array (H, W, 3) of
                uint8, or a list of such.
            search: changes to the model's own search: `beam`, `length_penalty`, `max_words`.

        Raises:
            ImageError: a picture cannot be read.
        """
        if isinstance(images, list | tuple):
            squares = (self.square(image) for image in images)
            return [best[0] for best in self.caption_squares(squares, self.search(**search))]
        single = [self.square(images)]  # type: ignore[arg-type]
        return next(iter(self.caption_squares(single, self.search(**search))))[0]

    def n_best(self, image: ImageLike, n: int, **search: Any) -> list[Caption]:
        """Return up to `n` different captions of a picture from one beam, best first."""
        plan = self.search(**{"beam": max(n, self.config.search.beam), **search})
        return next(iter(self.caption_squares([self.square(image)], plan, n_best=n)))

    def search(self, **changes: Any) -> SearchConfig:
        """Return the model's own search with `changes`; an unknown field is a `UsageError`."""
        given = {key: value for key, value in changes.items() if value is not None}
        return change_search(self.config.search, given)

    def square(self, image: ImageLike, *, strict: bool = False) -> Square:
        """Read a picture and make it square; small, so that many fit into memory.

        `strict` refuses one that lacks its end, however little.
        """
        preprocessing = self.network.encoder.preprocessing
        with self.timings.part("read"):
            picture = read_image(image, shrink_to=preprocessing.size, strict=strict)
        with self.timings.part("resize"):
            return Square(preprocessing.square(picture), preprocessing.area(*picture.size))

    def caption_squares(
        self,
        squares: Iterable[Square],
        search: SearchConfig,
        *,
        n_best: int = 1,
        batch_size: int = 16,
    ) -> Iterable[list[Caption]]:
        """Caption squares as they come, `batch_size` at a time; the `n_best` of each."""
        for batch in in_batches(squares, batch_size):
            yield from self._batch(batch, search, n_best)

    @torch.inference_mode()
    def encode(self, squares: Sequence[Square]) -> Features:
        """Return what the encoder sees in squares; see `Features`."""
        return self._encode(squares)[0]

    @torch.inference_mode()
    def _batch(
        self, squares: list[Square], search: SearchConfig, n_best: int
    ) -> list[list[Caption]]:
        features, decoder = self._encode(squares)
        areas = [square.area for square in squares]
        with self.timings.part("search"):
            found = generate(decoder, features, self.vocabulary, search, n_best=n_best, areas=areas)
        if self.sureness is None:
            return found
        novelty = self.sureness.familiar.novelty(features.pooled).tolist()
        return [self.sureness.judge(*of) for of in zip(found, novelty, strict=True)]

    def _encode(self, squares: Sequence[Square]) -> tuple[Features, Decoder]:
        pixels = torch.from_numpy(np.stack([square.pixels for square in squares]))
        device = next(self.network.parameters()).device
        with self.timings.part("make ready"):
            network = self.ready.get()
        with self.timings.part("encode"):
            return network.features(pixels.permute(0, 3, 1, 2).to(device)), network.decoder


T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items, the last of what is left (`itertools.batched`, Python 3.12)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def load(path: Path | str = SHIPPED, *, precision: Precision = "float32") -> Captioner:
    """Load a captioner.

    Args:
        path: its folder, or the name of one that comes with Cutline.
        precision: of the weights when captioning on a CPU: `float32`, `bfloat16` or `int8`; the
            latter two are faster, need a CPU that has them, and may choose another word.

    Raises:
        ModelError: there is no such folder, or it is not whole.
        UsageError: this CPU has no such precision.
    """
    folder = find_model(path)
    config, network, vocabulary, sureness = read_folder(folder)
    parts = [part for part in folder.resolve().parts if part not in {"model", "best", "last"}]
    return Captioner(
        config, network, vocabulary, sureness=sureness, name=parts[-1], precision=precision
    )
