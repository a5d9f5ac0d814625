"""Training steps and searches: the tutorials' decoder beside ours, and all seven side by side.

Sizes are the usual ones: embedding, hidden state and attention 512, features of 2048 on a grid of
49 or 196 regions, vocabularies of 2,633 (Flickr8k) and 9,490 words (COCO). Weights and features are
drawn. Before anything is measured, both sides are checked to compute the same, searches in single
precision; what bfloat16 and int8 change in captions is measured by `sameness`.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, AdamW, Optimizer

from benchmarks.machine import Product, matmul_precision
from benchmarks.plain import PlainSoft
from benchmarks.work import Work
from cutline.compiled import compiler, compiling
from cutline.config import Recipe
from cutline.data.cache import cache_folder
from cutline.decoders import (
    TORCH,
    Decoder,
    Soft,
    Stepper,
    build_decoder,
    decoder_names,
    pack,
    precisions,
    unroll,
)
from cutline.decoders.twins import find_twins
from cutline.functional import Features
from cutline.functional.order import Order
from cutline.losses import word_loss
from cutline.search import Scored, Step, Words, beam, greedy
from cutline.search.arrays import Ints

H = E = A = 512
SIZE = 2048
STEPS, WIDTH, IMAGES = 20, 5, 32
START, END, BANNED = 1, 2, [0, 1, 3]


def works() -> Iterator[Work]:
    """Yield the works; trainings last, because they load PyTorch's compiler.

    With it come so many objects that Python's garbage collector slows whatever comes after.
    """
    for vocabulary, regions in ((9490, 196), (2633, 49)):
        yield from searching(vocabulary, regions)
    for vocabulary, regions, captions in ((9490, 196, 64), (9490, 49, 250)):
        yield from training(vocabulary, regions, captions)
    yield from decoders()


# --- training


class Told(NamedTuple):
    """Captions of images: features, words (B, 5, T + 1), lengths (B, 5)."""

    features: Features
    words: Tensor
    lengths: Tensor


def told(vocabulary: int, regions: int, captions: int) -> Told:
    """Draw captions as long as Flickr8k's, five an image; only `<start>` is alike in all."""
    generator = torch.Generator().manual_seed(0)
    images = -(-captions // 5)
    grid = torch.rand(images, regions, SIZE, generator=generator)
    lengths = torch.randn(images, 5, generator=generator).mul(3.5).add(11.8).clamp(5, 25).long()
    lengths = lengths.sort(1, descending=True).values
    lengths = lengths[lengths[:, 0].argsort(descending=True)]
    lengths.view(-1)[captions:] = 0
    longest = int(lengths.max()) + 1
    words = torch.randint(4, vocabulary, (images, 5, longest), generator=generator)
    words[:, :, 0] = START
    return Told(Features(grid, grid.mean(1), 7, regions // 7), words, lengths)


def our_step(decoder: Decoder, given: Told, dtype: str = "float32") -> Callable[[], float]:
    """Return a step as `cutline train` takes it in a long training; it returns the loss."""
    from cutline.training.clip import clip_gradient  # it brings Lightning

    mixed = dtype == "bfloat16"  # training.precision: bf16-mixed
    loops, wanted = cache_folder() / "compiled", compiler() is not None
    optimizer = AdamW(decoder.parameters(), lr=0.0, fused=True)
    read, targets = given.words[:, :, :-1], given.words[:, :, 1:].reshape(-1)

    def step() -> float:
        with matmul_precision("medium"), compiling(loops, wanted=wanted):
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                unrolled = unroll(decoder, given.features, read, given.lengths)
                scores, real = decoder.project(unrolled.distinct), targets[unrolled.places]
                judged = word_loss(scores, real, rows=unrolled.rows, per=len(real))
            return _descend(judged.loss, decoder, optimizer, clip_gradient)

    return step


def plain_step(decoder: PlainSoft, given: Told) -> Callable[[], float]:
    """Return a training step of the tutorials; it returns the loss."""
    optimizer = Adam(decoder.parameters(), lr=0.0)
    flat = given.lengths.flatten()
    order = flat.argsort(descending=True, stable=True)
    order = order[flat[order] > 0]
    features = given.features.grid.repeat_interleave(5, 0)[order]
    words, lengths = given.words.flatten(0, 1)[order], flat[order]

    def step() -> float:
        loss = decoder.loss(features, words, lengths)
        return _descend(loss, decoder, optimizer, clip_grad_norm_)

    return step


def _descend(
    loss: Tensor, decoder: nn.Module, optimizer: Optimizer, clip: Callable[[Any, float], Any]
) -> float:
    """Finish a training step; return its loss."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    clip(decoder.parameters(), 5.0)
    optimizer.step()
    return float(loss)


def training(vocabulary: int, regions: int, captions: int) -> Iterator[Work]:
    """Compare a training step of `soft`."""
    given = told(vocabulary, regions, captions)
    torch.manual_seed(0)
    soft = Soft(vocabulary_size=vocabulary, feature_size=SIZE, dropout=0.0)
    plain = plain_step(PlainSoft(soft), given)
    for dtype in precisions():
        if dtype == "int8":
            continue
        ours = our_step(soft, given, dtype)
        assert abs(ours() - plain()) < (1e-4 if dtype == "float32" else 0.02)
        yield Work(
            f"train_soft_v{vocabulary}_{regions}",
            "captions/s",
            ours,
            plain,
            amount=captions,
            dtype=dtype,
            products=_training_products(given, vocabulary, regions),
        )


def _training_products(given: Told, vocabulary: int, regions: int) -> list[Product]:
    """Forward, and back to inputs and weights; features get no gradient, and are projected once.

    Captions of an image that begin alike are read once until they part. What needs no step before
    it is one product over all words.
    """
    order = Order(given.lengths, given.words[:, :, :-1].flatten(0, 1))
    last = order.readings[-1]
    rows, looks, images = last.prefixes.stop, last.looks.stop, len(given.lengths)
    captions = max(1, rows // len(order.readings))
    in_steps = [(SIZE, 4 * H), (H, 4 * H + A + SIZE)]
    at_once = [(rows, E, 4 * H), (rows, H, E), (looks, SIZE, E)]
    products = [Product(captions, k, n, 2 * looks / captions) for k, n in in_steps]
    products += [Product(k, looks, n) for k, n in in_steps]
    products += [
        product for m, k, n in at_once for product in (Product(m, k, n, 2), Product(k, m, n))
    ]
    products += [Product(rows, E, vocabulary, 2), Product(E, rows, vocabulary)]
    products += [Product(images * regions, SIZE, A), Product(SIZE, images * regions, A)]
    products += [Product(5, regions, SIZE, 2 * looks / 5)]
    return products


def decoders() -> Iterator[Work]:
    """Put the seven beside each other, on the same captions."""
    given = told(2633, 49, 160)
    for name in decoder_names():
        torch.manual_seed(0)
        config = Recipe.model_validate(
            {"data": {"path": "scenes"}, "encoder": {"name": "resnet10t"},
             "decoder": {"name": name, "dropout": 0.0}}
        ).decoder  # fmt: skip
        decoder = build_decoder(config, vocabulary_size=2633, feature_size=SIZE)
        yield Work(
            f"train_{name}_v2633_49", "captions/s", our_step(decoder, given), amount=160, rounds=5
        )


# --- searching


def searching(vocabulary: int, regions: int) -> Iterator[Work]:
    """Compare beam search over a batch of images and over one, and greedy search."""
    torch.manual_seed(0)
    soft = Soft(vocabulary_size=vocabulary, feature_size=SIZE, dropout=0.0).eval()
    with torch.no_grad():
        soft.L_o.weight.mul_(6)  # so that words differ in probability as those of a trained one do
        soft.L_o.bias[END] = -100  # all captions go on for twenty words
    grid = torch.rand(IMAGES, regions, SIZE)
    plain = PlainSoft(soft)
    libraries = cache_folder() / "native"
    packed = {which: pack(soft, which, libraries=libraries) for which in precisions()}
    few, single = 4, grid[:1]
    expected = _plain_beam(plain, grid[:few])
    assert _beam(packed["float32"], grid)[:few] == expected
    assert _greedy(packed["float32"], grid)[:few] == _plain_greedy(plain, grid[:few])
    products = _search_products(vocabulary, regions, packed["float32"], grid)
    for precision, decoder in packed.items():
        if precision != "int8":
            yield Work(
                f"beam5_v{vocabulary}_{regions}",
                "images/s",
                lambda decoder=decoder: _beam(decoder, grid),  # type: ignore[misc]
                lambda: _plain_beam(plain, grid[:few]),
                amount=IMAGES,
                plain_amount=few,
                dtype=precision,
                products=products,
            )
        yield Work(
            f"beam5_one_v{vocabulary}_{regions}",
            "images/s",
            lambda decoder=decoder: _beam(decoder, single),  # type: ignore[misc]
            lambda: _plain_beam(plain, single),
            dtype=precision,
            rounds=7,
        )
    yield Work(
        f"greedy_v{vocabulary}_{regions}",
        "images/s",
        lambda: _greedy(packed["float32"], grid),
        lambda: _plain_greedy(plain, grid[:few]),
        amount=IMAGES,
        plain_amount=few,
    )


@torch.inference_mode()
def _search_products(vocabulary: int, regions: int, packed: Decoder, grid: Tensor) -> list[Product]:
    """Count with what captions of the same parent see made once, and words mapped once for all.

    How many see different things at a step depends on the search, so one is made.
    """
    looks: list[int] = []
    stepper = Stepper(packed, _features(grid))

    def counting(words: Ints, state: Any) -> Scored:
        looks.append(sum(find_twins(state.parent, len(grid)).counts))
        return stepper(words, state)

    _search(counting, stepper.state, len(grid))
    products = [
        Product(some, k, n) for some in looks for k, n in ((SIZE, 4 * H + E), (H, 4 * H + A + SIZE))
    ]
    rows = len(grid) * WIDTH
    products += [Product(rows, k, n, STEPS - 1 + 1 / WIDTH) for k, n in ((H, E), (E, vocabulary))]
    each = round(sum(looks) / STEPS / len(grid))
    products += [Product(each, regions, SIZE, sum(looks) / each)]
    return [*products, Product(len(grid) * regions, SIZE, A)]


def _features(grid: Tensor) -> Features:
    """Make features; `soft` takes a mean of its own, and does not read the pooled one."""
    return Features(grid, grid[:, 0], 7, grid.shape[1] // 7)


def _search(step: Step, state: Any, images: int) -> list[list[int]]:
    words = Words(START, END, np.array(BANNED))
    found = beam(
        step, state, images=images, words=words, max_words=STEPS, width=WIDTH, arrays=TORCH
    )
    return [best.words for best, *_ in found]


@torch.inference_mode()
def _beam(decoder: Decoder, grid: Tensor) -> list[list[int]]:
    stepper = Stepper(decoder, _features(grid))
    return _search(stepper, stepper.state, len(grid))


@torch.inference_mode()
def _greedy(decoder: Decoder, grid: Tensor) -> list[list[int]]:
    stepper = Stepper(decoder, _features(grid))
    words = Words(START, END, np.array(BANNED))
    found = greedy(
        stepper, stepper.state, images=len(grid), words=words, max_words=STEPS, arrays=TORCH
    )
    return [caption.words for caption in found]


def _plain_beam(plain: PlainSoft, grid: Tensor) -> list[list[int]]:
    banned = torch.tensor(BANNED)
    return [
        plain.beam_search(
            one.unsqueeze(0), start=START, end=END, banned=banned, width=WIDTH, max_words=STEPS
        )
        for one in grid
    ]


def _plain_greedy(plain: PlainSoft, grid: Tensor) -> list[list[int]]:
    banned = torch.tensor(BANNED)
    return [
        plain.greedy(one.unsqueeze(0), start=START, end=END, banned=banned, max_words=STEPS)
        for one in grid
    ]
