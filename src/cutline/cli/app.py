"""The application: its verbs."""

import typer

from cutline.cli import (
    average,
    calibrate,
    caption,
    check,
    curves,
    data,
    demo,
    evaluate,
    explain,
    export,
    lists,
    score,
    serve,
    train,
)
from cutline.cli.on_ray import OptionalAddress

__all__ = ["app"]

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
app.command("curves")(curves.curves)
app.command("check")(check.check)
app.command("score")(score.score)
app.command("average")(average.average)
app.command("calibrate")(calibrate.calibrate)
app.command("caption", cls=OptionalAddress)(caption.caption)
app.command("explain")(explain.explain)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.add_typer(data.app, name="data")
app.command("models")(lists.models)
app.command("recipes")(lists.recipes)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        from cutline import __version__

        typer.echo(f"cutline {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
