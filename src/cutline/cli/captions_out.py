"""Where captions go: standard output or a file, in five formats, and sidecars beside pictures."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from cutline.errors import DataError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cutline.captioner import Caption

__all__ = ["Format", "Output", "Row", "Sidecars", "open_output", "sidecar_kinds"]

SIDECARS = ("txt", "json")
CSV_COLUMNS = ("image", "caption", "confidence", "model")


class Format(StrEnum):
    """How captions are written. `json` and `jsonl` are the same: an object a line."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    COCO = "coco"


class Row(NamedTuple):
    """One picture's caption."""

    image: Path
    caption: "Caption"
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Return what the json format writes.

        `sentinel` only where the decoder has one, `unsure` where the model is calibrated.
        """
        caption = self.caption
        betas = [] if caption.sentinel is None else [round(float(b), 6) for b in caption.sentinel]
        return {
            "image": str(self.image),
            "caption": caption.text,
            "words": list(caption.words),
            "log_probs": [round(value, 6) for value in caption.log_probs],
            **({} if caption.sentinel is None else {"sentinel": betas}),
            "confidence": round(caption.confidence, 6),
            **({} if caption.unsure is None else {"unsure": caption.unsure}),
            "model": self.model,
        }


class Output:
    """Writes rows as they come; knows which pictures it already has."""

    def __init__(self, stream: TextIO, form: Format, *, several: bool, known: set[str]) -> None:
        self.stream = stream
        self.form = form
        self.several = several
        self.known = known
        self.separator = ""

    def has(self, image: Path) -> bool:
        """Say whether a run before this one wrote `image`."""
        return (str(image) if self.form is not Format.COCO else str(image_id(image))) in self.known

    def write(self, row: Row) -> None:
        """Write one caption, at once."""
        self.stream.write(self._line(row))
        self.stream.flush()

    def begin(self, *, fresh: bool) -> None:
        """Write what comes before all rows."""
        if self.form is Format.CSV and fresh:
            self.stream.write(_csv(CSV_COLUMNS))
        if self.form is Format.COCO:
            self.stream.write("[")

    def end(self) -> None:
        """Write what comes after all rows."""
        if self.form is Format.COCO:
            self.stream.write("\n]\n")
        self.stream.flush()

    def _line(self, row: Row) -> str:
        if self.form is Format.TEXT:
            return f"{row.image}\t" * self.several + f"{row.caption.hedged}\n"
        if self.form is Format.CSV:
            confidence = f"{row.caption.confidence:.4f}"
            return _csv((str(row.image), row.caption.text, confidence, row.model))
        if self.form is Format.COCO:
            entry = {"image_id": image_id(row.image), "caption": row.caption.text}
            return self.coco_entry(entry)
        return json.dumps(row.to_dict(), ensure_ascii=False) + "\n"

    def coco_entry(self, entry: dict[str, Any]) -> str:
        """Return an element of the array, with the comma before it."""
        line = f"{self.separator}\n{json.dumps(entry, ensure_ascii=False)}"
        self.separator = ","
        return line


@contextmanager
def open_output(
    path: Path | None, form: Format, *, resume: bool, force: bool, several: bool
) -> Iterator[Output]:
    """Open standard output, or a file that does not exist yet (unless `resume` or `force`)."""
    if path is None:
        output = Output(sys.stdout, form, several=several, known=set())
        output.begin(fresh=True)
        yield output
        output.end()
        return
    if path.exists() and not (resume or force):
        raise UsageError(
            f"{path} exists and is not overwritten; add --resume to go on with it, --force to "
            "replace it, or give another name."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _entries(path, form) if resume and path.exists() else []
    known = {str(entry.get("image", entry.get("image_id"))) for entry in before}
    mode: Literal["a", "w"] = "a" if before and form is not Format.COCO else "w"
    with path.open(mode, encoding="utf-8", newline="") as stream:
        output = Output(stream, form, several=True, known=known)
        output.begin(fresh=not before)
        if form is Format.COCO:
            for entry in before:
                stream.write(output.coco_entry(entry))
        try:
            yield output
        finally:
            output.end()  # a stopped run leaves a whole file, from which --resume goes on


def image_id(path: Path) -> int | str:
    """Return COCO's number of a picture, from a name that is digits but for COCO's own prefix.

    Any other picture goes by its name: Flickr8k has names that merely end in the same digits.
    """
    digits = re.fullmatch(r"(?:COCO_\w+_)?(\d+)", path.stem)
    return int(digits.group(1)) if digits else path.name


def sidecar_kinds(given: str) -> list[str]:
    """Read `txt,json`; an unknown kind is a `UsageError`."""
    kinds = [kind.strip().lower() for kind in given.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in SIDECARS:
            raise UsageError(f"There is no sidecar '{kind}'; {did_you_mean(kind, SIDECARS)}.")
    return kinds


class Sidecars:
    """Captions beside pictures: photo.txt holds the words, photo.json all that is known."""

    def __init__(self, kinds: list[str], *, resume: bool, force: bool) -> None:
        self.kinds = kinds
        self.resume = resume
        self.force = force

    def done(self, image: Path) -> bool:
        """Say whether a resumed run may skip `image`."""
        return (
            self.resume
            and bool(self.kinds)
            and all(image.with_suffix(f".{kind}").exists() for kind in self.kinds)
        )

    def write(self, row: Row) -> list[str]:
        """Write the sidecars of one picture; return a sentence for each that could not be."""
        faults = []
        for kind in self.kinds:
            path = row.image.with_suffix(f".{kind}")
            if path.exists() and not self.force:
                if not self.resume:
                    faults.append(f"{path} exists and is not overwritten; --force replaces it.")
                continue
            text = row.caption.hedged if kind == "txt" else json.dumps(row.to_dict(), indent=1)
            draft = path.with_name(f".{path.name}.tmp")
            try:
                draft.write_text(text + "\n", encoding="utf-8")
                draft.replace(path)
            except OSError as error:
                faults.append(f"{path} cannot be written: {error.strerror}.")
        return faults


def _csv(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _entries(path: Path, form: Format) -> list[dict[str, Any]]:
    """Read back what a file holds; a last line that was cut off is an error that says so."""
    text = path.read_text(encoding="utf-8")
    try:
        if form is Format.TEXT:
            return [{"image": line.split("\t")[0]} for line in text.splitlines()]
        if form is Format.CSV:
            return list(csv.DictReader(io.StringIO(text)))
        if form is Format.COCO:
            entries: list[dict[str, Any]] = json.loads(text or "[]")
            return entries
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be continued, because it is not whole {form.value} ({error}); "
            "remove its last line, or give another name."
        ) from None
