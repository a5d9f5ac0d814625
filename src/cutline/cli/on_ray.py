"""`cutline caption --ray`: the same pictures, and files of many, captioned on Ray into shards."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand

from cutline.cli.captioning import progress
from cutline.cli.console import say
from cutline.cli.lists import Precision, chosen_model
from cutline.cli.pictures import expanded
from cutline.cli.tally import Tally, tell_stop
from cutline.errors import CutlineError, UsageError
from cutline.files import printable

__all__ = ["OptionalAddress", "RayPlan", "caption_on_ray", "check_options"]

ALONE = "here"  # the value of --ray alone
TOLD = 100  # failures that are told; all stand in the shards
_ADDRESS = re.compile(r"auto|local|ray://.*|(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+")


class OptionalAddress(TyperCommand):
    """A command whose option `--ray` may have a value: an address, never a picture."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `--ray` a value where it has none."""
        return super().parse_args(ctx, _with_value(args))


class RayPlan(NamedTuple):
    """Options of a run on Ray, as they were given."""

    out: str | None
    form: str | None
    resume: bool
    model: Path | None
    precision: Precision
    beam: int | None
    batch_size: int
    threads: int | None
    strict: bool
    workers: int | None
    size: int | None
    column: str | None


def check_options(address: str | None, plan: RayPlan, others: dict[str, bool]) -> None:
    """Refuse options that do not go together with `--ray`, or only with it.

    Args:
        address: what `--ray` was given; None without it.
        plan: of the run.
        others: options that are not for `--ray`, and whether they were given.
    """
    if address is None:
        only = {
            "--workers": plan.workers,
            "--shard-size": plan.size,
            "--column": plan.column,
            "--format parquet": plan.form == "parquet" or None,
        }
        if given := [name for name, value in only.items() if value is not None]:
            raise UsageError(f"{given[0]} is for shards; add --ray, or leave it out.")
        return
    if given := [name for name, value in others.items() if value]:
        raise UsageError(
            f"{given[0]} is not for --ray, which writes shards into a folder; leave one of them "
            "out."
        )
    if plan.out is None:
        raise UsageError("--ray writes shards into a folder; name it by --out FOLDER.")
    if plan.form not in (None, "parquet", "json", "jsonl"):
        raise UsageError(
            f"--ray writes --format parquet or jsonl, no {plan.form}; give one of them."
        )


def caption_on_ray(images: list[str], exclude: list[str], address: str, plan: RayPlan) -> Tally:
    """Caption what is there into shards."""
    from cutline.batch import BatchRun, Captions, check_ray, usable_model

    tally, form = Tally(), "parquet" if plan.form in (None, "parquet") else "jsonl"
    check_ray(address)
    given: list[tuple[str | None, str]] = []
    captions = Captions(
        usable_model(str(chosen_model(plan.model))),
        plan.precision.value,
        plan.beam,
        plan.batch_size,
        plan.threads or 1,
        plan.strict,
    )
    with BatchRun.open(
        list(expanded(images, given)),
        plan.out or "",
        captions,
        form=form,
        resume=plan.resume,
        exclude=exclude,
        size=plan.size,
        column=plan.column,
    ) as run:
        for note in run.notes:
            say(note)
        for sentence in [*(sentence for _, sentence in given), *run.problems]:
            tally.fail(sentence)
        if not run.files:
            raise typer.Exit(2)
        before = [run.files[name] for name in run.files if name not in set(run.todo)]
        if before:
            say(f"{len(before):,} of {len(run.files):,} shards were done before.")
        tally.before = sum(shard.rows or 0 for shard in before)
        try:
            _caption(run, address, plan.workers, tally)
        except (CutlineError, KeyboardInterrupt) as stop:
            tell_stop(stop, tally, again=True)
    say(f"The shards are in {printable(plan.out or '')}.")
    say(str(tally))
    return tally


def _caption(run: Any, address: str, workers: int | None, tally: Tally) -> None:
    counts = [run.files[name].rows for name in run.todo]
    known = None not in counts
    with progress(sum(counts) if known else len(counts)) as advance:
        for done in run.shards(address, workers=workers):
            tally.captioned += done.captioned
            tally.unsure += done.unsure
            for reason in done.reasons:
                tally.fail(reason, told=tally.failed.total() < TOLD)
            advance(done.captioned + len(done.reasons) if known else 1)
    if tally.failed.total() > TOLD:
        say(f"The first {TOLD} failures are named here; all are in the shards, with a reason.")


def _with_value(words: list[str]) -> list[str]:
    """Return the words of a command line with `--ray=VALUE` in place of `--ray`.

    >>> _with_value(["photos", "--ray", "head:6379"]), _with_value(["--ray", "photos"])
    (['photos', '--ray=head:6379'], ['--ray=here', 'photos'])
    """
    end = words.index("--") if "--" in words else len(words)
    found: list[str] = []
    for word in words[:end]:
        if found and found[-1] == "--ray":
            address = _ADDRESS.fullmatch(word)
            found[-1] = f"--ray={word if address else ALONE}"
            found += [] if address else [word]
        else:
            found.append(word)
    if found and found[-1] == "--ray":
        found[-1] = f"--ray={ALONE}"
    return found + words[end:]
