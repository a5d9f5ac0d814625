"""Console: results on standard output, everything else on standard error."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from cutline.files import printable

__all__ = ["bar", "complain", "say", "table", "tell", "working", "write"]


def say(line: str) -> None:
    """Tell something on standard error."""
    typer.echo(printable(line), err=True)


def complain(sentence: str) -> None:
    """Tell what went wrong on standard error."""
    typer.secho(f"cutline: {printable(sentence)}", err=True, fg=typer.colors.RED)


def tell(text: str) -> None:
    """Give a result on standard output, as lines that command no terminal."""
    for line in text.split("\n"):
        typer.echo(printable(line))


def write(text: str) -> None:
    """Write a result to standard output at once, as it is; escaped where that is a terminal.

    Its newlines and tabs stay.
    """
    if sys.stdout.isatty():
        text = "".join(
            part if part in ("\n", "\t") else printable(part)
            for part in re.split(r"([\n\t])", text)
        )
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def bar(title: str, total: int | None, *, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error when it is a terminal; yield what advances it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f}/s" if task.speed else "")

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    shown = wanted and sys.stderr.isatty()
    # results go where they are sent, not to the console of the bar
    with Progress(*columns, console=console, disable=not shown, redirect_stdout=False) as progress:
        task = progress.add_task(printable(title), total=total)
        yield lambda steps: progress.advance(task, steps)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Show on standard error, when it is a terminal, that something is going on."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield
        return
    with console.status(Text(printable(title))):
        yield


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output, its title on a line before it; no cell is markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for column in columns:
        shown.add_column(Text(printable(column)), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 120)
    if title:
        console.print(printable(title), markup=False, highlight=False, soft_wrap=True)
    console.print(shown)
