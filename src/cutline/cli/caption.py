"""`cutline caption`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.captioning import Captioning, Plan
from cutline.cli.console import say
from cutline.cli.drawn import check_outside
from cutline.cli.lists import Precision, chosen_model
from cutline.cli.on_ray import RayPlan, caption_on_ray, check_options
from cutline.cli.outputs import HELD, Wishes, opened
from cutline.cli.pictures import Asked, pictures
from cutline.cli.tally import Tally, tell_stop
from cutline.cli.watching import Ending, check_watchable, watch
from cutline.errors import UsageError
from cutline.files import printable
from cutline.models import find_model
from cutline.results import Existing, sidecar_kinds

__all__ = ["caption"]


class Format(StrEnum):
    """Formats of captions. `json` and `jsonl` are the same: an object a line.

    `parquet` is for shards.
    """

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    COCO = "coco"
    PARQUET = "parquet"


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
        Format | None,
        typer.Option(
            "--format", help="How captions are written; json is a line each. Default: text."
        ),
    ] = None,
    sidecar: Annotated[
        str,
        typer.Option(help="Write beside photo.jpg: txt,caption,json,xmp (photo.jpg.xmp, merged)."),
    ] = "",
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Pass over sidecars that are there.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace sidecars, and descriptions in xmp.")
    ] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add the caption to what sidecars say.")
    ] = False,
    prefix: Annotated[str, typer.Option(help="Text before each caption, as it is.")] = "",
    suffix: Annotated[str, typer.Option(help="Text after each caption, as it is.")] = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out such files and folders; repeatable."),
    ] = None,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="Hold back captions that are less sure than this.")
    ] = 0.0,
    watching: Annotated[
        bool, typer.Option("--watch", help="Go on with pictures that come, until Ctrl-C.")
    ] = False,
    out_name: Annotated[
        str | None,
        typer.Option("--out", metavar="<path>", help="Write to this file instead."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Write the picture with its caption: a .png or .jpg file, or a folder."),
    ] = None,
    font: Annotated[
        Path | None, typer.Option(help="Font file of --figure; default: one of this machine.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Skip pictures that OUT, sidecars or --figure have."),
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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Caption on Ray, here or on a cluster (HOST:PORT), into shards in the folder "
            "--out; also pictures in Parquet files and tars, and at addresses such as s3://.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Of --ray. Default: as many as there are CPUs for.")
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures in a shard. Default: a 256th, 100 to 10,000."),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Of the pictures in Parquet files, if there are several.")
    ] = None,
) -> None:
    """Caption any number of pictures, in bounded memory.

    Exit code 1 when some could not be captioned (each is named, the rest is done), 2 when none.
    """
    on_ray = RayPlan(
        out_name,
        form.value if form else None,
        resume,
        model,
        precision,
        beam,
        batch_size,
        threads,
        strict,
        workers,
        shard_size,
        column,
    )
    others = {
        "--sidecar": bool(sidecar),
        "--skip-existing": skip_existing,
        "--overwrite": overwrite,
        "--append": append,
        "--prefix": bool(prefix),
        "--suffix": bool(suffix),
        "--at-least": at_least > 0,
        "--watch": watching,
        "--figure": figure is not None,
        "--font": font is not None,
        "--force": force,
        "--timings": timings,
    }
    check_options(ray, on_ray, others)
    if ray is not None:
        tally = caption_on_ray(images, exclude or [], ray, on_ray)
        if tally.code:
            raise typer.Exit(tally.code)
        return
    out = None if out_name is None else Path(out_name)
    kinds = sidecar_kinds(sidecar)
    existing = _existing(kinds, skip_existing=skip_existing, overwrite=overwrite, append=append)
    if force and existing is None:
        existing = Existing.OVERWRITE
    wishes = Wishes(
        out,
        (form or Format.TEXT).value,
        kinds,
        existing or Existing.KEEP,
        resume=resume,
        force=force,
        prefix=prefix,
        suffix=suffix,
        at_least=at_least,
        figure=figure,
        font=font,
        strict=strict,
    )
    _check_options(wishes, watching=watching)
    if figure is not None:
        check_outside(figure, images, exclude or [])
    shown = watching or (out is None and sys.stdout.isatty())
    source = find_model(chosen_model(model)) if watching else None
    plan = Plan(
        source or Path(),
        precision,
        beam,
        batch_size,
        threads,
        strict=strict,
        timed=timings,
        bar=not shown,
    )
    if watching:
        check_watchable(images)
        tally = _watch(images, exclude or [], wishes, plan)
    else:
        tally = _once(images, exclude or [], wishes, plan, model)
    if tally.code:
        raise typer.Exit(tally.code)


def _once(
    images: list[str], exclude: list[str], wishes: Wishes, plan: Plan, model: Path | None
) -> Tally:
    """Caption what is there."""
    asked, tally = pictures(images, exclude), Tally()
    for note in asked.notes:
        say(note)
    if not asked.files:
        for _, sentence in asked.problems:
            tally.fail(sentence)
        raise typer.Exit(2)
    wishes = wishes._replace(place=_place(wishes, images, asked.files))
    plan = plan._replace(folder=find_model(chosen_model(model)))
    inputs = _other_inputs(images, plan.folder)
    with opened(wishes, asked.files, inputs, tally=tally, single=asked.single) as outputs:
        _tell_problems(asked, tally)
        todo = outputs.plan(asked.files, tally, more=False)
        if tally.before:
            say(f"{tally.before:,} of {len(asked.files):,} were done before.")
        captioning = Captioning(plan, tally)
        try:
            if todo:
                for row in captioning.rows(todo):
                    outputs.write(row, tally)
                captioning.tell_timings()
        except (UsageError, KeyboardInterrupt) as stop:
            tell_stop(stop, tally, again=wishes.writes)
    if tally.failed or tally.held or wishes.writes or not asked.single:
        _tell_end(wishes, tally)
    return tally


def _watch(images: list[str], exclude: list[str], wishes: Wishes, plan: Plan) -> Tally:
    """Caption what is there and what comes, until a signal."""
    tally, ending = Tally(), Ending()
    captioning = Captioning(plan, tally, stopped=ending)
    inputs = _other_inputs(images, plan.folder)
    wishes = wishes._replace(place=_place(wishes, images, []))
    with (
        ending.listening(),
        opened(wishes, [], inputs, tally=tally, single=False) as outputs,
    ):
        watch(images, exclude, outputs, captioning=captioning, tally=tally, ending=ending)
        captioning.tell_timings()
    _tell_end(wishes, tally)
    return tally


def _existing(
    kinds: list[str], *, skip_existing: bool, overwrite: bool, append: bool
) -> Existing | None:
    """Return what becomes of sidecars that are there, where it was said."""
    given = {
        "--skip-existing": (skip_existing, Existing.SKIP),
        "--overwrite": (overwrite, Existing.OVERWRITE),
        "--append": (append, Existing.APPEND),
    }
    chosen = [option for option, (wanted, _) in given.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other; give one of them.")
    if chosen and not kinds:
        raise UsageError(f"{chosen[0]} says what becomes of sidecars; add --sidecar txt.")
    if append and "json" in kinds:
        raise UsageError(
            "--append adds to words, and a json sidecar holds one caption; give --overwrite, or "
            "leave json out of --sidecar."
        )
    return given[chosen[0]][1] if chosen else None


def _check_options(wishes: Wishes, *, watching: bool) -> None:
    if wishes.resume and wishes.force:
        raise UsageError("--resume keeps what is there and --force replaces it; give one of them.")
    if wishes.resume and not wishes.writes:
        raise UsageError("--resume goes on with files; name them by --out FILE or --sidecar txt.")
    if wishes.figure and watching:
        raise UsageError(
            "--figure draws pictures that are there, and --watch waits for more; give one of them."
        )
    if wishes.font and not wishes.figure:
        raise UsageError("--font is the font of --figure; add --figure FILE.png.")


def _place(wishes: Wishes, images: list[str], files: list[Path]) -> Path | None:
    """Folder of the lists, always one that the run writes to: that of OUT, else of the sidecars.

    Of sidecars it is the first folder that was named, or where none was, that of the first picture.
    """
    if wishes.out is not None:
        return wishes.out.parent
    if not wishes.kinds:
        return None
    named = (path for path in map(Path, images) if path.is_dir())
    return next(named, None) or (files[0].parent if files else None)


def _other_inputs(images: list[str], model: Path) -> list[Path]:
    """Return what is read besides pictures: the model, and the list on standard input."""
    return [*sorted(model.iterdir()), *([Path("/dev/stdin")] if "-" in images else [])]


def _tell_problems(asked: Asked, tally: Tally) -> None:
    for path, sentence in asked.problems:
        tally.fail(sentence, path)


def _tell_end(wishes: Wishes, tally: Tally) -> None:
    """Say where the lists are, and what became of all pictures."""
    if tally.listed is not None and tally.listed.count:
        say(f"What failed is listed in {printable(tally.listed.path)}.")
    if tally.held and wishes.place is not None:
        say(f"What is held back is listed in {printable(wishes.place / HELD)}.")
    say(str(tally))
