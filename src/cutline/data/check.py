"""Data set check: every picture and caption, looked at before anything is trained."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL.Image import Image

from cutline.data.examples import Captions, Dataset, Example, Photograph
from cutline.errors import ImageError
from cutline.unspaced import looks_unspaced

__all__ = ["CheckReport", "Problem", "Spread", "check_dataset"]


class Problem(NamedTuple):
    """Kinds of problems that images of a data set can have."""

    name: str
    reason: str


@dataclass(slots=True)
class Spread:
    """Smallest, mean and largest of the numbers seen; the numbers themselves are not kept."""

    count: int = 0
    total: int = 0
    smallest: int | None = None
    largest: int | None = None

    def add(self, number: int) -> None:
        """See one more number."""
        self.count += 1
        self.total += number
        self.smallest = number if self.smallest is None else min(self.smallest, number)
        self.largest = number if self.largest is None else max(self.largest, number)

    @property
    def mean(self) -> float | None:
        """The mean, or None of nothing."""
        return self.total / self.count if self.count else None

    def __str__(self) -> str:
        if self.mean is None:
            return "none"
        return f"{self.smallest:,} to {self.largest:,}, mean {self.mean:,.1f}"


@dataclass
class CheckReport:
    """Report of a check: counts, and every image that has a problem, by name."""

    recognised: str
    notes: tuple[str, ...]
    missing: list[Problem] = field(default_factory=list)
    unreadable: list[Problem] = field(default_factory=list)
    without_captions: list[Problem] = field(default_factory=list)
    empty_captions: list[Problem] = field(default_factory=list)
    in_two_splits: list[Problem] = field(default_factory=list)
    damaged: list[Problem] = field(default_factory=list)
    captions_per_image: Spread = field(default_factory=Spread)
    words_per_caption: Spread = field(default_factory=Spread)
    image_widths: Spread = field(default_factory=Spread)
    image_heights: Spread = field(default_factory=Spread)
    unspaced: str | None = None

    @property
    def problems(self) -> dict[str, list[Problem]]:
        """Every kind of problem that is looked for, with those found; of shards, if there are."""
        return {
            "missing images": self.missing,
            "unreadable images": self.unreadable,
            "images without captions": self.without_captions,
            "images with empty captions": self.empty_captions,
            "images in two splits": self.in_two_splits,
            **({"damaged shards": self.damaged} if self.damaged else {}),
        }

    @property
    def ok(self) -> bool:
        """Return whether no problem was found."""
        return not any(self.problems.values())

    def lines(self, most: int | None = 20) -> list[str]:
        """Return the report for people; of each problem at most so many names (None: all)."""
        lines = [self.recognised, *(f"note: {note}" for note in self.notes)]
        for kind, problems in self.problems.items():
            lines.append(f"{kind}: {len(problems):,}")
            lines += [f"  {name}: {reason}" for name, reason in problems[:most]]
            if most is not None and len(problems) > most:
                lines.append(f"  and {len(problems) - most:,} more")
        lines.append(f"captions per image: {self.captions_per_image}")
        lines.append(f"words per caption: {self.words_per_caption}")
        if self.unspaced:
            lines.append(f"note: {self.unspaced}")
        lines.append(f"image width: {self.image_widths}; height: {self.image_heights}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        spreads = ("captions_per_image", "words_per_caption", "image_widths", "image_heights")
        named = {
            kind.replace(" ", "_"): [problem._asdict() for problem in problems]
            for kind, problems in self.problems.items()
        }
        numbers = {
            name: {**asdict(getattr(self, name)), "mean": getattr(self, name).mean}
            for name in spreads
        }
        notes = [*self.notes, *filter(None, [self.unspaced])]
        head = {"recognised": self.recognised, "notes": notes, "ok": self.ok}
        return {**head, **named, **numbers}


def check_dataset(
    dataset: Dataset, *, progress: Callable[[int], None] | None = None
) -> CheckReport:
    """Open every picture, one at a time, and look at every caption.

    `progress` is called after each image with the number looked at so far.
    """
    report = CheckReport(dataset.describe(), dataset.notes)
    report.damaged = [Problem(name, reason) for name, reason in dataset.damaged]
    report.unspaced = looks_unspaced(Captions(dataset.examples))
    seen: dict[bytes, tuple[str, str]] = {}
    for count, example in enumerate(dataset.examples, start=1):
        _check_captions(example, report)
        digest = _check_picture(example, report)
        _check_splits(example, digest, seen, report)
        if progress is not None:
            progress(count)
    return report


def _check_captions(example: Example, report: CheckReport) -> None:
    words = [len(caption.split()) for caption in example.captions]
    report.captions_per_image.add(len(words))
    for count in words:
        report.words_per_caption.add(count)
    empty = words.count(0)
    if empty == len(words):
        report.without_captions.append(Problem(example.image_id, "no caption that has words"))
    elif empty:
        report.empty_captions.append(Problem(example.image_id, f"{empty} of {len(words)} empty"))


def _check_picture(example: Example, report: CheckReport) -> bytes | None:
    """Open the picture fully; return a digest of its content, if it can be read."""
    picture = example.picture
    try:
        if isinstance(picture, Photograph) and not picture.path.exists():
            report.missing.append(Problem(example.image_id, f"{picture.path} does not exist"))
            return None
        image = picture.open()
        digest = _digest(picture.path) if isinstance(picture, Photograph) else _of_pixels(image)
    except (ImageError, OSError) as error:
        report.unreadable.append(Problem(example.image_id, str(error)))
        return None
    report.image_widths.add(image.width)
    report.image_heights.add(image.height)
    return digest


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _blake).digest()


def _of_pixels(image: Image) -> bytes:
    return hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).digest()


def _blake() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16)


def _check_splits(
    example: Example,
    digest: bytes | None,
    seen: dict[bytes, tuple[str, str]],
    report: CheckReport,
) -> None:
    """Find the image again under the same id, the same path or with the same content."""
    for key, reason in _identities(example, digest):
        image_id, split = seen.setdefault(key, (example.image_id, example.split))
        if split != example.split:
            also = f"{image_id} in {split}"
            report.in_two_splits.append(
                Problem(example.image_id, f"in {example.split}, and {reason} {also}")
            )
            return


def _identities(example: Example, digest: bytes | None) -> Iterator[tuple[bytes, str]]:
    yield b"id " + example.image_id.encode("utf-8", "surrogatepass"), "has the same id as"
    if isinstance(example.picture, Photograph):
        path = str(example.picture.path).encode("utf-8", "surrogatepass")
        yield b"file " + path, "is the same file as"
    if digest is not None:
        yield b"content " + digest, "has the same content as"
