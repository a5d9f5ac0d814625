"""`cutline score`."""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutline.cli.console import bar, say, table, tell, working
from cutline.cli.figures import (
    EVERY_METRIC,
    compared_rows,
    described_rows,
    metric_names,
    score_rows,
)
from cutline.files import check_free, printable, write_text

if TYPE_CHECKING:
    from cutline.data.results import Found, Matched
    from cutline.evaluation.clip_score import ClipScores
    from cutline.metrics import Description, Scores

__all__ = ["score"]


class Problem(StrEnum):
    """Mismatches between captions and references that can be allowed."""

    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    AMBIGUOUS = "ambiguous"


def score(
    results: Annotated[
        Path,
        typer.Argument(help="Captions: JSON, JSON lines, csv, tsv, text, or a folder of sidecars."),
    ],
    references: Annotated[
        Path, typer.Argument(help="The same, COCO annotations, Karpathy's JSON, or a data set.")
    ],
    against: Annotated[
        Path | None, typer.Option(help="Other captions of the same images, to compare with.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Metrics to compute, separated by commas.")
    ] = EVERY_METRIC,
    split: Annotated[
        str | None, typer.Option(help="Split of the references. Default: that of the captions.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for 95% intervals, such as 1000.")
    ] = 0,
    training: Annotated[
        Path | None,
        typer.Option(help="Training captions, to count captions that do not occur there."),
    ] = None,
    allow: Annotated[
        list[Problem] | None, typer.Option(help="Accept this fault; may be repeated.")
    ] = None,
    clip: Annotated[
        str | None,
        typer.Option(help="Also compute CLIPScore: NAME:FILE.safetensors of an open_clip model."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the pictures, for CLIPScore.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
    per_image: Annotated[
        Path | None, typer.Option(help="Write each image's figures to this .csv file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite those files.")] = False,
) -> None:
    """Score anybody's captions.

    METEOR needs Java, SPICE its jars too; where they are missing the rest is scored.
    """
    from cutline.data.results import read_references
    from cutline.errors import UsageError

    check_free(json_file, per_image, overwrite=force)
    _refuse_same([json_file, per_image], [results, against], [references, training])
    truths = read_references(references)
    known = read_references(training) if training else None
    allowed = [problem.value for problem in allow or []]
    files = [results, against] if against else [results]
    systems = _matched(files, truths, split, allowed)
    for note in known.notes if known else []:
        say(note)
    with working(f"scoring {len(systems[0].candidates):,} captions"):
        made, found, rows = _measured(files, systems, metric_names(metrics), bootstrap)
    skipped = [f"{name} was not computed: {reason}" for name, reason in made.skipped.items()]
    if not made.corpus:
        raise UsageError(" ".join(skipped))
    signatures = [made.signature]
    if clip:
        fits = _clip_scores(clip, images, systems[0])
        rows += score_rows(fits.corpus, {})[1:]
        found["clip"] = asdict(fits)
        signatures.append(fits.signature)
    table(f"{len(made.per_image):,} images of {printable(references)}", rows[0], rows[1:])
    tell("\n".join(signatures))
    told = _described(files, systems, _texts(known) if known else None)
    found["description"] = {name: one.to_dict() for name, one in told.items()}
    rows = described_rows(told)
    table("The captions themselves", rows[0], rows[1:])
    for sentence in skipped:
        say(sentence)
    if json_file:
        write_text(json_file, json.dumps(found, indent=1) + "\n", overwrite=force)
    if per_image:
        write_text(per_image, _csv(made, systems[0].candidates), overwrite=force)


def _refuse_same(
    outputs: list[Path | None], captions: list[Path | None], others: list[Path | None]
) -> None:
    """Refuse to write over what is read, or twice to one file."""
    from cutline.errors import UsageError

    sidecars = {os.path.realpath(path) for path in captions if path is not None}
    taken = sidecars | {os.path.realpath(path) for path in others if path is not None}
    for path in (path for path in outputs if path is not None):
        place = Path(os.path.realpath(path))
        # in a folder of sidecars any file may be one
        read = place.exists() and any(str(folder) in sidecars for folder in place.parents)
        if read or str(place) in taken:
            raise UsageError(
                f"{path} would be written over what is read or written otherwise; give --json and "
                "--per-image names of their own."
            )
        taken.add(str(place))


def _matched(
    files: list[Path], truths: "Found", split: str | None, allowed: list[str]
) -> "list[Matched]":
    """Read captions of one or two systems; of two, keep the images that both have."""
    from cutline.data.results import match, read_results
    from cutline.errors import DataError

    systems = [match(read_results(file), truths, split=split, allow=allowed) for file in files]
    for note in dict.fromkeys([*truths.notes, *(n for system in systems for n in system.notes)]):
        say(note)
    both = set.intersection(*(set(system.places.values()) for system in systems))
    if any(len(both) < len(system.candidates) for system in systems):
        say(f"Compared on the {len(both):,} images that both have captions of.")
    if not both:
        raise DataError(f"{files[0]} and {files[-1]} have captions of no image in common.")
    names = {name: place for name, place in systems[0].places.items() if place in both}
    return [system.only(names) for system in systems]


def _measured(
    files: list[Path], systems: "list[Matched]", metrics: list[str], bootstrap: int
) -> "tuple[Scores, dict[str, Any], list[list[str]]]":
    """Score the first system, against the second if there is one: figures, as JSON, as a table."""
    from cutline.metrics import compare, score

    candidates, references = systems[0].candidates, systems[0].references
    if len(systems) == 1:
        made = score(candidates, references, metrics, bootstrap=bootstrap)
        return made, made.to_dict(), score_rows(made.corpus, made.intervals)
    both = compare(
        candidates, systems[1].candidates, references, metrics, samples=bootstrap or 1000
    )
    return both.first, both.to_dict(), compared_rows(both, [printable(file.name) for file in files])


def _described(
    files: list[Path], systems: "list[Matched]", known: list[str] | None
) -> "dict[str, Description]":
    """Describe each system's captions, and what people wrote of the same images."""
    from cutline.metrics import describe

    people = [text for texts in systems[0].references.values() for text in texts]
    told = {
        printable(file): describe(system.candidates.values(), known)
        for file, system in zip(files, systems, strict=True)
    }
    return {**told, "references": describe(people, known)}


def _clip_scores(given: str, folder: Path | None, matched: "Matched") -> "ClipScores":
    """Load the model, find each image's picture by its name, and score."""
    from cutline.data.examples import Photograph
    from cutline.data.results import Record, pair
    from cutline.errors import UsageError
    from cutline.evaluation.clip_score import Clip, clip_score
    from cutline.images import find_images

    name, colon, weights = given.partition(":")
    if not colon or folder is None:
        raise UsageError("CLIPScore needs --clip NAME:FILE.safetensors and --images FOLDER.")
    files = find_images([str(folder)]).files
    if not files:
        raise UsageError(f"{folder} holds no pictures; give the folder of those captioned.")
    asked = [Record({"image": (image,)}, ()) for image in matched.candidates]
    made = pair(asked, [Record({"file": (str(path),)}, ()) for path in files])
    lost = [name for name, place in zip(made.names, made.found, strict=True) if place is None]
    if lost:
        raise UsageError(
            f"{folder} has no picture, or several, of {len(lost):,} images, such as {lost[0]}."
        )
    pictures = {
        image: Photograph(files[place])
        for image, place in zip(matched.candidates, made.found, strict=True)
        if place is not None
    }
    with bar("CLIPScore", len(pictures)) as progress:
        return clip_score(
            Clip(name, Path(weights)),
            matched.candidates,
            pictures,
            matched.references,
            progress=progress,
        )


def _texts(references: "Found") -> list[str]:
    """Return all captions of a file, those of its training split where it has splits."""
    truths = references.records
    chosen = [truth for truth in truths if truth.split in ("train", "restval")] or truths
    return [text for truth in chosen for text in truth.texts]


def _csv(made: "Scores", candidates: Mapping[str, str]) -> str:
    names = list(next(iter(made.per_image.values())))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["image_id", "caption", *names])
    for image, figures in made.per_image.items():
        writer.writerow([image, candidates[str(image)], *(figures[name] for name in names)])
    return stream.getvalue()
