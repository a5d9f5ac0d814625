"""From photographs to captions: one, a folder, features alone, and a process that starts cold.

The photographs are scenes drawn large and saved as JPEGs, so nothing needs to be fetched; weights
are drawn, and captions go on for twenty words. The plain side reads with torchvision, encodes with
the ResNet-101 of the tutorials, as timm builds it, and searches as `benchmarks.plain` does. Rows
named `..._same` have our encoder on both sides.
"""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import torch

from benchmarks.drawn import BANNED, END, START, STEPS, WIDTH, draw, on_onnx
from benchmarks.plain import PlainEncoder, PlainSoft, read_plainly
from benchmarks.work import Work
from cutline.captioner import Captioner, Precision
from cutline.data.readers import open_dataset
from cutline.decoders import Soft

FOLDER, FEW = 256, 8
OURS = "mobilenetv2_100"
WORDS = 2633
# The system of the tutorial that most people have: encoder, side in pixels, grid, words (of COCO).
TUTORIAL = ("resnet101", 256, 14, 9490)


def works() -> Iterator[Work]:
    """Yield the works."""
    jpegs = photographs(FOLDER)
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model"
        draw({"name": OURS}, WORDS).save(model)
        ours = {which: on_onnx(model, which) for which in get_args(Precision)}
        yield from one_photograph(ours, jpegs[0])
        yield from features(ours["float32"])
        yield from folder(ours, jpegs)
        yield from starting(model, jpegs[0], Path(name))


def photographs(count: int) -> list[bytes]:
    """Draw scenes as JPEGs of 640 x 480."""
    scenes = open_dataset("scenes", train=count, val=1, test=1, side=480).split("train")
    made = []
    for example in scenes:
        buffer = io.BytesIO()
        example.picture.open().resize((640, 480)).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


class Plain:
    """The way of the tutorials, from bytes to words."""

    def __init__(self, encoder: str, side: int, grid: int | None, words: int) -> None:
        self.encoder = PlainEncoder(encoder, grid).eval()
        self.side = side
        torch.manual_seed(0)
        size = self.encoder(torch.zeros(1, 3, side, side)).shape[2]
        soft = Soft(vocabulary_size=words, feature_size=size, dropout=0.0).eval()
        with torch.no_grad():
            soft.L_o.bias[END] = -100
        self.decoder = PlainSoft(soft)

    def caption(self, jpeg: bytes) -> list[int]:
        """Read, encode, search."""
        grid = self.encoder(read_plainly(jpeg, self.side))
        return self.decoder.beam_search(
            grid, start=START, end=END, banned=torch.tensor(BANNED), width=WIDTH, max_words=STEPS
        )


def one_photograph(ours: dict[Precision, Captioner], jpeg: bytes) -> Iterator[Work]:
    """Compare one photograph in a warm process, and say where ours spends its time."""
    side = ours["float32"].config.preprocessing.size
    plains = {"photo_warm": Plain(*TUTORIAL), "photo_warm_same": Plain(OURS, side, None, WORDS)}
    for precision, captioner in ours.items():
        note = parts(captioner, jpeg)
        for name, plain in plains.items():
            yield Work(
                name,
                "photos/s",
                partial(captioner.caption, jpeg),
                partial(plain.caption, jpeg),
                dtype=precision,
                rounds=9,
                note=note,
            )


def parts(captioner: Captioner, jpeg: bytes) -> str:
    """Say how the time of one photograph divides."""
    captioner.caption(jpeg)
    shares = captioner.timings
    captioner.timings.clear()
    for _ in range(5):
        captioner.caption(jpeg)
    total = sum(shares.values())
    return ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares.items())


def features(captioner: Captioner) -> Iterator[Work]:
    """Compare encoding pictures that have been read."""
    side = captioner.config.preprocessing.size
    pixels = torch.randint(256, (64, side, side, 3), dtype=torch.uint8)
    plain = PlainEncoder(OURS).eval()
    normalised = pixels[:16].permute(0, 3, 1, 2).float() / 255

    def ours() -> None:
        for some in pixels.chunk(4):
            captioner.backend.encode(some.numpy())

    yield Work("features", "images/s", ours, lambda: plain(normalised), amount=64, plain_amount=16)


def folder(ours: dict[Precision, Captioner], jpegs: list[bytes]) -> Iterator[Work]:
    """Compare a folder of photographs, ours in batches, the tutorials' one by one."""
    plain = Plain(*TUTORIAL)
    for precision, captioner in ours.items():
        yield Work(
            "folder_256",
            "photos/s",
            partial(captioner.caption, jpegs),
            lambda: [plain.caption(jpeg) for jpeg in jpegs[:FEW]],
            amount=FOLDER,
            plain_amount=FEW,
            dtype=precision,
            rounds=1,
        )


def starting(model: Path, jpeg: bytes, folder: Path) -> Iterator[Work]:
    """Measure whole commands, from a cold process."""
    photo = folder / "photo.jpg"
    photo.write_bytes(jpeg)
    cold = [sys.executable, "-m", "cutline"]
    for name, words in (
        ("start_help", ["--help"]),
        ("start_caption", ["caption", str(photo), "--model", str(model)]),
    ):
        yield Work(name, "s", partial(_command, [*cold, *words]), rounds=3)


def _command(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)
