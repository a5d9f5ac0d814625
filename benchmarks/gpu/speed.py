"""Speed on a GPU: training steps, batched beam search, encoders, beside the tutorials' way.

All sides run on the same device in the same process. The share of time that the device is busy is
the time of its kernels, as PyTorch's profiler counts them, over the time by the clock.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.decoding import IMAGES, SIZE, build, our_step, plain_step, told
from benchmarks.drawn import BANNED, END, START, STEPS, WIDTH, draw
from benchmarks.plain import PlainEncoder, PlainSoft
from cutline.captioner import Encoded, generate
from cutline.config import Recipe
from cutline.decoders import Soft, decoder_names
from cutline.functional import Features
from cutline.network import build_network

__all__ = ["Measured", "works"]

CAPTIONS = (64, 250, 1024)
VOCABULARY, REGIONS = 9490, 49
ENCODERS = ("tf_efficientnet_lite0", "resnet101")
PICTURES = 64
ENOUGH = 1.5  # seconds of measuring

Run = Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """Units a second of ours and of the plain way; the device's share of busy time and memory."""

    work: str
    dtype: str
    unit: str
    ours: float
    plain: float | None
    busy: float | None
    megabytes: float | None

    @property
    def ratio(self) -> float | None:
        """How many times as fast ours is."""
        return None if self.plain is None else self.ours / self.plain

    def json(self) -> dict[str, Any]:
        """Return what is kept in a file."""
        return asdict(self) | {"ratio": self.ratio}


def works(device: str, *, quick: bool) -> Iterator[Measured]:
    """Measure everything; `quick`, only the smallest of each, once."""
    captions = (8,) if quick else CAPTIONS
    for count in captions:
        yield from training(device, count, quick=quick)
    yield from searching(device, quick=quick)
    for name in ("resnet10t",) if quick else ENCODERS:
        yield from encoding(device, name, quick=quick)


def training(device: str, captions: int, *, quick: bool) -> Iterator[Measured]:
    """Measure a training step of each decoder, that of `soft` beside the tutorials'."""
    given = told(VOCABULARY, REGIONS, captions)
    grid, words, lengths = (t.to(device) for t in (given.features.grid, given.words, given.lengths))
    given = given._replace(
        features=Features(grid, grid.mean(1), *given.features[2:]), words=words, lengths=lengths
    )
    for name in decoder_names():
        for dtype in ("float32", "bfloat16"):
            decoder = build(name, VOCABULARY).to(device)
            plain = None
            if isinstance(decoder, Soft) and dtype == "float32":
                with torch.device(device):
                    plain = _on(device, plain_step(PlainSoft(decoder.cpu()).to(device), given))
                decoder = decoder.to(device)
            yield measured(
                f"train_{name}_{captions}", our_step(decoder, given, dtype), plain,
                amount=captions, unit="captions/s", dtype=dtype, device=device, quick=quick,
            )  # fmt: skip


def searching(device: str, *, quick: bool) -> Iterator[Measured]:
    """Measure a batched beam search of `soft`, beside one image at a time."""
    model = draw({"name": "resnet26", "options": {"layers": [1, 1, 1, 1]}, "size": 224}, VOCABULARY)
    soft = model.network.decoder
    assert isinstance(soft, Soft)
    plain = PlainSoft(soft).to(device)
    captioner = model.captioner(device=device)
    banned = torch.tensor(BANNED, device=device)
    for images in (2,) if quick else (1, IMAGES, 8 * IMAGES):
        grid = torch.rand(images, REGIONS, SIZE, device=device)
        few = grid[: min(images, 4)]
        ours = partial(
            generate, captioner.backend, Encoded(grid, grid.mean(1)), captioner.vocabulary,
            captioner.search(beam=WIDTH),
        )  # fmt: skip

        def one_by_one(few: Tensor = few) -> None:
            for one in few:
                plain.beam_search(
                    one.unsqueeze(0), start=START, end=END, banned=banned, width=WIDTH,
                    max_words=STEPS,
                )  # fmt: skip

        yield measured(
            f"beam5_{images}", ours, _on(device, one_by_one), amount=images,
            plain_amount=len(few), unit="images/s", device=device, quick=quick,
        )  # fmt: skip


def encoding(device: str, name: str, *, quick: bool) -> Iterator[Measured]:
    """Measure an encoder from pixels, beside timm's as it comes."""
    recipe = Recipe.model_validate(
        {"data": {"path": "scenes"}, "encoder": {"name": name, "weights": "random", "size": 224},
         "decoder": {"name": "soft"}}
    )  # fmt: skip
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=50).eval().to(device)
    plain = PlainEncoder(name).eval().to(device)
    count = 2 if quick else PICTURES
    pixels = torch.randint(0, 256, (count, 3, 224, 224), dtype=torch.uint8, device=device)

    def ours() -> object:
        with torch.inference_mode():
            return network.features(pixels)

    def theirs() -> object:
        return plain(pixels.float() / 255)

    yield measured(
        f"encode_{name}", ours, theirs, amount=count, unit="images/s", device=device, quick=quick
    )


def measured(
    work: str,
    ours: Run,
    plain: Run | None,
    *,
    amount: int,
    unit: str,
    device: str,
    quick: bool,
    dtype: str = "float32",
    plain_amount: int | None = None,
) -> Measured:
    """Time ours and the plain way, and look how busy the device is and what memory it takes."""
    cuda = device == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    mine = _seconds(ours, device, quick=quick)
    megabytes = round(torch.cuda.max_memory_allocated() / 2**20, 1) if cuda else None
    theirs = None if plain is None else _seconds(plain, device, quick=quick)
    return Measured(
        work,
        dtype,
        unit,
        round(amount / mine, 1),
        None if theirs is None else round((plain_amount or amount) / theirs, 1),
        _busy(ours, mine) if cuda else None,
        megabytes,
    )


def _seconds(run: Run, device: str, *, quick: bool) -> float:
    """Return the median seconds of a run, after two that do not count."""
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or (not quick and time.perf_counter() - started < ENOUGH):
        before = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - before)
    return median(times[2:])


def _busy(run: Run, seconds: float) -> float:
    """Return the time of the kernels of a run over its time by the clock, at most 1."""
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    kernels = sum(float(event.self_device_time_total) for event in seen.key_averages())
    return round(min(1.0, kernels / 1e6 / seconds), 3)


def _on(device: str, run: Run) -> Run:
    """Return the run with new tensors on the device, as the tutorials' would be."""

    def there() -> object:
        with torch.device(device):
            return run()

    return there
