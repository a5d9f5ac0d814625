"""Speaking to a person: results on standard output, everything else on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from cutline.errors import UsageError

__all__ = ["atomic_text", "bar", "complain", "say", "table"]


def say(line: str) -> None:
    """Tell something on standard error."""
    typer.echo(line, err=True)


def complain(sentence: str) -> None:
    """Tell what went wrong on standard error."""
    typer.secho(f"cutline: {sentence}", err=True, fg=typer.colors.RED)


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


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title or None, title_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(shown)


def atomic_text(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all; an existing one only with `force`."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists and is not overwritten; give another name, or --force.")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
