"""`cutline data check`, `cutline data pack`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from cutline.cli.console import bar, complain, say, tell
from cutline.files import check_free, check_not_read, write_text

__all__ = ["app"]

app = typer.Typer(help="Check a data set, or pack it into shards.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Check a data set, or pack it into shards."""


@app.command("check")
def check(
    path: Annotated[
        str, typer.Argument(help="A file or folder of a data set, a glob of shards, or `scenes`.")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the --json file.")] = False,
) -> None:
    """Say what a data set is, and count and name its faults.

    Every picture is opened. Exit code 1 when there are faults.
    """
    check_free(json_file, overwrite=force)
    check_not_read(json_file, [path])
    from cutline.data.check import check_dataset
    from cutline.data.readers import open_dataset

    with bar("shards", None) as indexed:
        dataset = open_dataset(path, progress=indexed)
    tell(dataset.describe())
    for note in dataset.notes:
        say(f"note: {note}")
    done = 0
    with bar("pictures", len(dataset.examples)) as progress:

        def looked(count: int) -> None:
            nonlocal done
            progress(count - done)
            done = count

        report = check_dataset(dataset, progress=looked)
    for line in report.lines():
        tell(line)
    if json_file:
        write_text(json_file, json.dumps(report.to_dict(), indent=1) + "\n", overwrite=force)
    if not report.ok:
        raise typer.Exit(1)


@app.command("pack")
def pack(
    path: Annotated[str, typer.Argument(metavar="DATA", help="A data set, as `data check` takes.")],
    out: Annotated[Path, typer.Argument(help="The folder of the shards: new, or begun before.")],
    kind: Annotated[
        Literal["tar", "parquet"], typer.Option("--format", help="WebDataset tars, or Parquet.")
    ] = "tar",
    per_shard: Annotated[int, typer.Option(min=1, help="Images of a shard.")] = 1000,
) -> None:
    """Write a data set as shards: few large files, for training at scale.

    A call that was cut off goes on when it is repeated; no shard is ever overwritten. Exit code 1
    when pictures were left out; each is named.
    """
    from cutline.data.packing import pack as write_shards
    from cutline.data.readers import open_dataset

    with bar("shards", None) as indexed:
        dataset = open_dataset(path, progress=indexed)
    say(dataset.describe())
    for note in dataset.notes:
        say(f"note: {note}")
    with bar("images", len(dataset.examples)) as progress:
        packed = write_shards(dataset, out, kind=kind, per_shard=per_shard, progress=progress)
    for name, reason in packed.left_out:
        complain(f"left out {name}: {reason}")
    there = f"; {packed.before:,} were there" if packed.before else ""
    tell(f"{packed.images:,} images in {packed.written:,} shards in {out}{there}.")
    if packed.left_out:
        raise typer.Exit(1)
