"""`cutline curves`."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutline.cli.console import complain, say
from cutline.files import check_free, check_not_read, write_text

if TYPE_CHECKING:
    from cutline.history import History

__all__ = ["curves"]


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `cutline train` wrote.")],
    out: Annotated[Path, typer.Option(help="The picture, a .png file.")] = Path("curves.png"),
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the figures of all epochs to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite those files.")] = False,
) -> None:
    """Draw the losses and scores of runs by epoch, all on one picture.

    Training is a solid line, validation a dashed one. Runs are named by what their recipes have of
    their own, or by their folders where that is more than three fields.
    """
    from cutline.errors import DataError, UsageError
    from cutline.explain.curves import curves_png
    from cutline.history import label_runs, read_history

    if out.suffix.lower() != ".png":
        raise UsageError(f"{out} does not end in .png; give --out such as curves.png.")
    check_free(out, csv_file, overwrite=force)
    check_not_read(out, runs)
    check_not_read(csv_file, [*runs, out])
    found, faults = [], []
    for folder in dict.fromkeys(runs):
        try:
            found.append(read_history(folder))
        except DataError as error:
            faults.append(str(error))
    if not found:
        raise DataError(" ".join(faults))
    labels = label_runs(found)
    curves_png(
        {label: run.epochs for label, run in zip(labels, found, strict=True)}, out, overwrite=force
    )
    say(f"Written: {out}")
    if csv_file:
        write_text(csv_file, _table(found, labels), overwrite=force)
        say(f"Written: {csv_file}")
    for fault in faults:
        complain(fault)
    if faults:
        raise typer.Exit(1)


def _table(runs: "list[History]", labels: list[str]) -> str:
    names = dict.fromkeys(name for run in runs for row in run.epochs for name in row)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "folder", *names])
    for run, label in zip(runs, labels, strict=True):
        for row in run.epochs:
            writer.writerow([label, run.folder, *(row.get(name, "") for name in names)])
    return stream.getvalue()
