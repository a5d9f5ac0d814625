"""Speaking to a person: results on standard output, everything else on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from cutline.files import printable

__all__ = ["bar", "complain", "say", "table", "working"]


def say(line: str) -> None:
    """Tell something on standard error."""
    typer.echo(printable(line), err=True)


def complain(sentence: str) -> None:
    """Tell what went wrong on standard error."""
    typer.secho(f"cutline: {printable(sentence)}", err=True, fg=typer.colors.RED)


@contextmanager
def bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error when it is a terminal; yield what advances it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=total)
        yield lambda steps: progress.advance(task, steps)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Show on standard error, when it is a terminal, that something is going on."""
    from rich.console import Console

    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield
        return
    with console.status(title):
        yield


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output, its title on a line before it."""
    from rich.console import Console
    from rich.table import Table

    shown = Table()
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if title:
        console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(shown)
