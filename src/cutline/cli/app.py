"""The application: its verbs."""

import sys

import typer

from cutline.cli import (
    average,
    calibrate,
    caption,
    data,
    demo,
    evaluate,
    explain,
    lists,
    score,
    train,
)
from cutline.cli.ends import exit_code, stops
from cutline.process import give_way, keep_freed_memory

__all__ = ["app", "main"]

app = typer.Typer(
    name="cutline",
    help="Train, measure, look inside and serve neural image captioners.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("average")(average.average)
app.command("calibrate")(calibrate.calibrate)
app.command("caption")(caption.caption)
app.command("explain")(explain.explain)
app.add_typer(data.app, name="data")
app.command("models")(lists.models)
app.command("recipes")(lists.recipes)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Say which version this is."),
) -> None:
    if version:
        from cutline import __version__

        typer.echo(f"cutline {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; a known error is one sentence, and the exit code is 2."""
    keep_freed_memory()
    give_way()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with stops() as seen:
        try:
            app()
        except BaseException as error:
            sys.exit(exit_code(error, seen))
