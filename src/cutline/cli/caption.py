"""`cutline caption`."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cutline.cli.console import bar, say
from cutline.cli.lists import Precision, chosen_model
from cutline.cli.pictures import Asked, pictures
from cutline.cli.printed import Printed, printed
from cutline.cli.tally import Tally
from cutline.errors import UsageError
from cutline.files import check_not_read
from cutline.models import find_model
from cutline.results import FORMATS, ResultsFile, Row, Sidecars, sidecar_kinds

__all__ = ["caption"]


class Format(StrEnum):
    """Formats of captions. `json` and `jsonl` are the same: an object a line."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    COCO = "coco"


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
        bool, typer.Option("--resume", help="Skip pictures that OUT or the sidecars already have.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam width; 1 is greedy.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 16,
    precision: Annotated[
        Precision, typer.Option(help="Arithmetic of the decoder; int8 is faster and less exact.")
    ] = Precision.FLOAT32,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads. Default: one for each core, at most four."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse damaged pictures, even if little is missing.")
    ] = False,
    timings: Annotated[
        bool, typer.Option("--timings", help="Print at the end how long each part took.")
    ] = False,
) -> None:
    """Caption any number of pictures, in bounded memory.

    Exit code 1 when some could not be captioned (each is named, the rest is done), 2 when none.
    """
    kinds = sidecar_kinds(sidecar)
    _check_options(resume=resume, force=force, writes=bool(out or kinds))
    asked, tally = pictures(images), Tally()
    for sentence in asked.problems:
        tally.fail(sentence)
    for note in asked.notes:
        say(note)
    if not asked.files:
        raise typer.Exit(2)
    folder = find_model(chosen_model(model))
    inputs = _other_inputs(images, folder)
    check_not_read(out, [*asked.files, *inputs])
    with _opened(out, form, asked, resume=resume, force=force) as output:
        outs = [] if out is None else [out]
        beside = Sidecars(kinds, asked.files, [*inputs, *outs], resume=resume, force=force)
        _tell_names(output.notes, beside, tally)
        known = output.has if out or not kinds else beside.done
        todo = [path for path in asked.files if beside.left(path) or not known(path)]
        tally.before = len(asked.files) - len(todo)
        if tally.before:
            say(f"{tally.before:,} of {len(asked.files):,} were done before.")
        rows_show = out is None and sys.stdout.isatty()
        options = _Options(
            folder,
            precision,
            beam,
            batch_size,
            threads,
            strict=strict,
            timed=timings,
            bar=not rows_show,
        )
        try:
            _write_all(_rows(todo, options, tally) if todo else iter(()), output, beside, tally)
        except (UsageError, KeyboardInterrupt) as stop:
            _tell_stop(stop, tally, again=bool(out or kinds))
    if tally.failures or out or kinds or not asked.single:
        say(str(tally))
    if tally.code:
        raise typer.Exit(tally.code)


def _check_options(*, resume: bool, force: bool, writes: bool) -> None:
    if resume and force:
        raise UsageError("--resume keeps what is there and --force replaces it; give one of them.")
    if resume and not writes:
        raise UsageError("--resume goes on with files; name them by --out FILE or --sidecar txt.")


def _other_inputs(images: list[str], model: Path) -> list[Path]:
    """Return what is read besides pictures: the model, and the list on standard input."""
    return [*sorted(model.iterdir()), *([Path("/dev/stdin")] if "-" in images else [])]


def _opened(
    out: Path | None, form: Format, asked: Asked, *, resume: bool, force: bool
) -> AbstractContextManager[Printed | ResultsFile]:
    kind = FORMATS[form.value]()
    if out is None:
        return printed(kind, asked.files, single=asked.single)
    return ResultsFile.open(out, kind, asked.files, resume=resume, force=force)


def _tell_names(notes: list[str], beside: Sidecars, tally: Tally) -> None:
    """Say before work begins what is written otherwise than expected, or not at all."""
    for note in notes:
        say(note)
    if beside.renamed:
        say(
            "Sidecars with the whole name of their picture, because the short one is not free: "
            f"{len(beside.renamed):,}, such as {beside.renamed[0]}."
        )
    for sentences in beside.faults.values():
        for sentence in sentences:
            tally.fail(sentence)


def _write_all(
    rows: Iterator[Row], output: Printed | ResultsFile, beside: Sidecars, tally: Tally
) -> None:
    for row in rows:
        if not output.has(row.image):
            output.write(row)
        for sentence in beside.write(row):
            tally.fail(sentence)
        tally.add(unsure=bool(row.caption.unsure))


def _tell_stop(stop: BaseException, tally: Tally, *, again: bool) -> None:
    """Say what a run had done when it stopped; an error after captions is one of the failures."""
    if isinstance(stop, KeyboardInterrupt):
        more = " The same command with --resume goes on." if again else ""
        say(f"{tally}{more}")
        raise stop
    if not tally.captioned:
        raise stop
    tally.fail(f"{stop} The same command with --resume goes on.")


class _Options(NamedTuple):
    """Options of a run: `strict` refuses cut pictures, `timed` prints timings, `bar` shows one."""

    folder: Path
    precision: Precision
    beam: int | None
    batch_size: int
    threads: int | None
    strict: bool
    timed: bool
    bar: bool


def _rows(paths: list[Path], options: _Options, tally: Tally) -> Iterator[Row]:
    """Caption pictures as they are read; what cannot be read is told."""
    started = time.perf_counter()
    from cutline.captioner import load

    imported = time.perf_counter()
    captioner = load(options.folder, precision=options.precision.value, threads=options.threads)
    captioner.timings |= {"import": imported - started, "load": time.perf_counter() - imported}
    search = captioner.search(beam=options.beam)
    with bar("captions", len(paths), wanted=options.bar) as progress:

        def failed(_: Path, reason: str) -> None:
            tally.fail(reason)
            progress(1)

        for path, caption in captioner.caption_each(
            paths,
            partial(captioner.square, strict=options.strict),
            search,
            name=str,
            failed=failed,
            batch_size=options.batch_size,
        ):
            yield Row(path, caption, captioner.name)
            progress(1)
    if options.timed:
        say(f"Time: {captioner.timings}.")
