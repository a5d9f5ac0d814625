"""Training steps and searches: the tutorials' decoder beside ours, and all seven side by side.

Sizes are the usual ones: embedding, hidden state and attention 512, features of 2048 on a grid of
49 or 196 regions, vocabularies of 2,633 (Flickr8k) and 9,490 words (COCO). Weights and features are
drawn. Before anything is measured, both sides are checked to compute the same, searches in single
precision; what int8 changes in captions is measured by `sameness`. Searches run on ONNX Runtime,
from a model folder whose encoder is not used.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, AdamW, Optimizer

from benchmarks.drawn import BANNED, END, START, STEPS, WIDTH, draw, on_onnx
from benchmarks.machine import Product, matmul_precision
from benchmarks.plain import PlainSoft
from benchmarks.work import Work
from cutline.captioner import Captioner, Encoded, Precision, generate
from cutline.compiled import compiler, compiling
from cutline.config import Recipe
from cutline.data.cache import cache_folder
from cutline.decoders import Decoder, Soft, build_decoder, decoder_names
from cutline.fast import unroll
from cutline.fast.prefix_tree import PrefixTree
from cutline.functional import Features
from cutline.losses import word_loss

H = E = A = 512
SIZE = 2048
IMAGES, FEW = 32, 4
SMALL = {"name": "resnet26", "options": {"layers": [1, 1, 1, 1]}}  # features of 2048


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
    device = given.features.grid.device.type
    loops, wanted = cache_folder() / "compiled", device == "cpu" and compiler() is not None
    optimizer = AdamW(decoder.parameters(), lr=0.0, fused=True)
    read, targets = given.words[:, :, :-1], given.words[:, :, 1:].reshape(-1)

    def step() -> float:
        with matmul_precision("medium"), compiling(loops, wanted=wanted):
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
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
    return float(loss.detach())


def training(vocabulary: int, regions: int, captions: int) -> Iterator[Work]:
    """Compare a training step of `soft`."""
    given = told(vocabulary, regions, captions)
    torch.manual_seed(0)
    soft = Soft(vocabulary_size=vocabulary, feature_size=SIZE, dropout=0.0)
    plain = plain_step(PlainSoft(soft), given)
    wide = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    for dtype in ("float32", "bfloat16") if wide else ("float32",):
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
    tree = PrefixTree(given.lengths, given.words[:, :, :-1].flatten(0, 1))
    last = tree.steps[-1]
    rows, looks, images = last.nodes.stop, last.queries.stop, len(given.lengths)
    captions = max(1, rows // len(tree.steps))
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
        step = our_step(build(name, 2633), given)
        yield Work(f"train_{name}_v2633_49", "captions/s", step, amount=160, rounds=5)


def build(name: str, vocabulary: int) -> Decoder:
    """Draw a decoder of the usual sizes, without dropout."""
    torch.manual_seed(0)
    decoder = {"name": name, "dropout": 0.0}
    recipe = {"data": {"path": "scenes"}, "encoder": {"name": "resnet10t"}, "decoder": decoder}
    config = Recipe.model_validate(recipe).decoder
    return build_decoder(config, vocabulary_size=vocabulary, feature_size=SIZE)


# --- searching


def searching(vocabulary: int, regions: int) -> Iterator[Work]:
    """Compare beam search over a batch of images and over one, and greedy search."""
    model = draw({**SMALL, "size": 32 * isqrt(regions)}, vocabulary)
    soft = model.network.decoder
    assert isinstance(soft, Soft)
    with torch.no_grad():
        soft.L_o.weight.mul_(6)  # so that words differ in probability as those of a trained one do
    plain = PlainSoft(soft)
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        model.save(folder)
        captioners = {which: on_onnx(folder, which) for which in get_args(Precision)}
    grid = torch.rand(IMAGES, regions, SIZE)
    few, single = grid[:FEW], grid[:1]
    exact = captioners["float32"]
    assert _said(exact, grid)[:FEW] == _spelled(exact, _plain_beam(plain, few))
    assert _said(exact, grid, beam=1)[:FEW] == _spelled(exact, _plain_greedy(plain, few))
    for precision, captioner in captioners.items():
        for kind, ours, theirs in (("beam5", grid, few), ("beam5_one", single, single)):
            yield Work(
                f"{kind}_v{vocabulary}_{regions}",
                "images/s",
                partial(_said, captioner, ours),
                partial(_plain_beam, plain, theirs),
                amount=len(ours),
                plain_amount=len(theirs),
                dtype=precision,
                rounds=3 if len(ours) > 1 else 7,
            )
    yield Work(
        f"greedy_v{vocabulary}_{regions}",
        "images/s",
        partial(_said, exact, grid, beam=1),
        partial(_plain_greedy, plain, few),
        amount=IMAGES,
        plain_amount=FEW,
    )


def _said(captioner: Captioner, grid: Tensor, *, beam: int = WIDTH) -> list[tuple[str, ...]]:
    """Search from features on; `soft` takes a mean of its own, and does not read the pooled one."""
    looked = Encoded(grid.numpy(), grid[:, 0].numpy())
    search = captioner.search(beam=beam)
    found = generate(captioner.backend, looked, captioner.vocabulary, search)
    return [best.words for best, *_ in found]


def _spelled(captioner: Captioner, found: list[list[int]]) -> list[tuple[str, ...]]:
    return [tuple(captioner.vocabulary.words(numbers)) for numbers in found]


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
