"""Every decoder there is, tiny, and pictures and captions to try it on."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import torch
from pydantic import BaseModel, TypeAdapter
from torch import Tensor

from cutline.config import DecoderConfig
from cutline.decoders import Decoder, Unrolled, build_decoder, decoder_names
from cutline.functional import Features
from cutline.search import Words
from support.specimens import Sampled, Sentinel
from support.strangers import STRANGERS

V, D, HEIGHT, WIDTH = 12, 7, 2, 3
R = HEIGHT * WIDTH
PAD, START, END, UNK = range(4)
WORDS = Words(START, END, np.array([PAD, START, UNK]))
SIZES = {"embedding": 5, "hidden": 6, "attention": 4}

Build = Callable[..., Decoder]


def registered(name: str, **fields: Any) -> Build:
    def build(
        *, dropout: float = 0.0, sizes: dict[str, int] = SIZES, feature_size: int = D
    ) -> Decoder:
        model: type[BaseModel] = next(
            option
            for option in get_args(get_args(DecoderConfig)[0])
            if option.model_fields["name"].default == name
        )
        chosen = {key: size for key, size in sizes.items() if key in model.model_fields}
        config = TypeAdapter(DecoderConfig).validate_python(
            {"name": name, "dropout": dropout, **chosen, **fields}
        )
        return build_decoder(config, vocabulary_size=V, feature_size=feature_size)

    return build


def specimen(kind: type[Decoder]) -> Build:
    def build(
        *, dropout: float = 0.0, sizes: dict[str, int] = SIZES, feature_size: int = D
    ) -> Decoder:
        return kind(
            vocabulary_size=V, feature_size=feature_size, hidden=sizes["hidden"], dropout=dropout
        )

    return build


BUILDERS: dict[str, Build] = {
    **{name: registered(name) for name in decoder_names()},
    **{f"{name} with a head": registered(name, head=5) for name in decoder_names()},
    **{
        f"{name} from scratch": registered(name, cell="scratch")
        for name in ("soft", "dot", "hard", "adaptive")
    },
    "nic with two layers": registered("nic", layers=2),
    "nic with two layers from scratch": registered("nic", layers=2, cell="scratch"),
    "rnn with its gradient by hand": registered("rnn", backward="manual"),
    **{name: specimen(kind) for name, kind in STRANGERS.items()},
    "a decoder with a sentinel": specimen(Sentinel),
    "a decoder that samples": specimen(Sampled),
}


def some_features(images: int, seed: int = 1) -> Features:
    grid = torch.randn(
        images, R, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    return Features(grid, grid.mean(1), HEIGHT, WIDTH)


def rows(features: Features, index: Any) -> Features:
    return features._replace(grid=features.grid[index], pooled=features.pooled[index])


def some_captions(lengths: list[list[int]], seed: int = 2) -> tuple[Tensor, Tensor]:
    """Words to read, `<start>` first, as many as `lengths` says and padded; some begin alike."""
    generator = torch.Generator().manual_seed(seed)
    count = torch.tensor(lengths)
    words = torch.randint(4, V, (*count.shape, int(count.max())), generator=generator)
    words[..., 0] = START
    words[:, ::2, 1:3] = words[:, :1, 1:3].clone()
    words[torch.arange(words.shape[2]) >= count.unsqueeze(-1)] = PAD
    return words, count


UNSORTED = [[2, 5, 0], [4, 0, 1], [6, 3, 6], [1, 1, 2]]


def by_place(unrolled: Unrolled) -> Tensor:
    """Outputs of all words, caption by caption, (M, O)."""
    return unrolled.output[unrolled.places.argsort()]


def close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, rtol=0, atol=1e-10)
