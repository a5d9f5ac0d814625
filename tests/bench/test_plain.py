"""The plain side of the benchmarks computes what ours does, and its clock is read as it should."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from benchmarks import work as work_module
from benchmarks.machine import Product
from benchmarks.plain import PlainSoft
from benchmarks.work import Work, measure

from cutline.captioner import Encoded, Stepper
from cutline.decoders import Soft
from cutline.fast import unroll
from cutline.functional import Features
from cutline.losses import word_loss
from cutline.network import TorchBackend
from cutline.search import Words, beam, greedy

V, SIZE, REGIONS, IMAGES = 23, 11, 6, 4
WORDS = Words(1, 2, np.array([0, 1, 3]))


@pytest.fixture
def soft() -> Soft:
    torch.manual_seed(2)
    decoder = Soft(
        vocabulary_size=V, feature_size=SIZE, embedding=8, hidden=9, attention=7, dropout=0.0
    )
    with torch.no_grad():
        decoder.L_o.weight.mul_(8)
    return decoder.eval()


@pytest.fixture
def features() -> Features:
    grid = torch.rand(IMAGES, REGIONS, SIZE, generator=torch.Generator().manual_seed(1))
    return Features(grid, grid.mean(1), 2, 3)


def test_the_plain_loss_is_ours(soft, features):
    lengths = torch.tensor([[7, 5], [6, 6], [4, 2], [3, 1]])
    words = torch.randint(4, V, (IMAGES, 2, 8), generator=torch.Generator().manual_seed(2))
    unrolled = unroll(soft, features, words[:, :, :-1], lengths)
    judged = word_loss(soft.project(unrolled.output), words[:, :, 1:].reshape(-1)[unrolled.places])
    order = lengths.flatten().argsort(descending=True, stable=True)
    plain = PlainSoft(soft).loss(
        features.grid.repeat_interleave(2, 0)[order],
        words.flatten(0, 1)[order],
        lengths.flatten()[order],
    )
    assert plain.item() == pytest.approx((judged.loss / judged.words).item(), rel=1e-5)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_the_plain_search_finds_our_captions(soft, features, width: int):
    plain = PlainSoft(soft)
    banned = torch.from_numpy(WORDS.banned)
    encoder = SimpleNamespace(height=2, width=3)
    network = SimpleNamespace(encoder=encoder, decoder=soft, parameters=soft.parameters)
    backend = TorchBackend(network)
    memory, state = backend.start(Encoded(features.grid, features.pooled))
    stepper = Stepper(backend, memory, width)
    asked = {"images": IMAGES, "words": WORDS, "max_words": 9, "arrays": backend.arrays}
    if width == 1:
        ours = [caption.words for caption in greedy(stepper, state, **asked)]
    else:
        ours = [best.words for best, *_ in beam(stepper, state, width=width, **asked)]
    theirs = [
        plain.greedy(one.unsqueeze(0), start=1, end=2, banned=banned, max_words=9)
        if width == 1
        else plain.beam_search(
            one.unsqueeze(0), start=1, end=2, banned=banned, width=width, max_words=9
        )
        for one in features.grid
    ]
    assert ours == theirs
    assert len({tuple(words) for words in ours}) > 1


def test_ratios_are_of_the_same_amount_of_work(monkeypatch):
    seconds = {"plain": 8, "ours": 2}
    now = [0.0]
    monkeypatch.setattr(work_module.time, "perf_counter", lambda: now[0])

    def spend(side: str) -> None:
        now[0] += seconds[side]

    monkeypatch.setattr(work_module, "seconds_of", lambda *_: 1.0)
    row = measure(
        Work(
            "some",
            "images/s",
            lambda: spend("ours"),
            lambda: spend("plain"),
            amount=32,
            plain_amount=4,
            products=[Product(1, 1, 1)],
        )
    )
    assert row.ours == 16
    assert row.plain == 0.5
    assert row.ratio == 32
    assert row.floor_share == 0.5
