"""`cutline caption`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cutline.cli.captions_out import Format, Row, Sidecars, open_output, sidecar_kinds
from cutline.cli.console import bar, complain, say
from cutline.cli.lists import Precision, chosen_model
from cutline.process import no_garbage

__all__ = ["caption"]


def caption(
    images: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders, globs; `-` reads a list from standard input."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="A model; default: $CUTLINE_MODEL, or Cutline's own."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="How captions are written; json is a line each.")
    ] = Format.TEXT,
    sidecar: Annotated[
        str, typer.Option(help="Write photo.txt and/or photo.json beside photo.jpg: txt,json.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what OUT or the sidecars already have.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam width; 1 is greedy.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 16,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights, on a CPU: less is faster, and less exact.")
    ] = Precision.FLOAT32,
    timings: Annotated[
        bool, typer.Option("--timings", help="Say at the end where the time went.")
    ] = False,
) -> None:
    """Caption any number of pictures, in bounded memory.

    Exit code 1 when some could not be captioned (each is named, the rest is done), 2 when none.
    """
    from cutline.images import find_images

    kinds = sidecar_kinds(sidecar)
    folder = chosen_model(model)
    found = find_images(list(_arguments(images)))
    failures = [sentence for _, sentence in found.problems]
    for sentence in failures:
        complain(sentence)
    if not found.files:
        raise typer.Exit(2)
    beside = Sidecars(kinds, resume=resume, force=force)
    with open_output(out, form, resume=resume, force=force, several=len(found.files) > 1) as output:
        todo = [path for path in found.files if not (output.has(path) or beside.done(path))]
        if len(todo) < len(found.files):
            say(f"{len(found.files) - len(todo):,} of {len(found.files):,} were done before.")
        done = 0
        plan = Plan(folder, precision, beam, batch_size, told=timings)
        for row in _rows(todo, plan, failures):
            output.write(row)
            for sentence in beside.write(row):
                failures.append(sentence)
                complain(sentence)
            done += 1
    if failures:
        raise typer.Exit(1 if done or len(todo) < len(found.files) else 2)


def _arguments(images: list[str]) -> Iterator[str]:
    """Put the lines of standard input in the place of `-`."""
    for argument in images:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield argument


class Plan(NamedTuple):
    """How to caption; with `told` where the time went is said at the end."""

    folder: Path
    precision: Precision
    beam: int | None
    batch_size: int
    told: bool


def _rows(paths: list[Path], plan: Plan, failures: list[str]) -> Iterator[Row]:
    """Caption pictures as they are read; what cannot be read is named and added to `failures`."""
    started = time.perf_counter()
    with no_garbage():
        from cutline.captioner import Square, load
        from cutline.errors import ImageError

    imported = time.perf_counter()
    captioner = load(plan.folder, precision=plan.precision.value)
    captioner.timings |= {"import": imported - started, "load": time.perf_counter() - imported}
    search = captioner.search(beam=plan.beam)
    read: list[Path] = []
    with bar("captions", len(paths)) as progress:

        def squares() -> Iterator[Square]:
            for path in paths:
                try:
                    square = captioner.square(path)
                except ImageError as error:
                    failures.append(str(error))
                    complain(str(error))
                    progress(1)
                    continue
                read.append(path)
                yield square

        found = captioner.caption_squares(squares(), search, batch_size=plan.batch_size)
        for number, best in enumerate(found):
            yield Row(read[number], best[0], captioner.name)
            progress(1)
    if plan.told:
        say(f"Time: {captioner.timings}.")
