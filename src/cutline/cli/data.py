"""`cutline data check`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import bar, say, tell
from cutline.files import check_free, check_not_read, write_text

__all__ = ["app"]

app = typer.Typer(help="Look at a data set before you train on it.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Look at a data set before you train on it."""


@app.command("check")
def check(
    path: Annotated[str, typer.Argument(help="A file or folder of a data set, or `scenes`.")],
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

    dataset = open_dataset(path)
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
