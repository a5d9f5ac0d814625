"""`cutline check`."""

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import complain, tell

__all__ = ["check"]


def check(
    file: Annotated[
        Path | None,
        typer.Argument(help="A Python file with functions of your own; it is run. Default: ours."),
    ] = None,
) -> None:
    """Compare the published equations with known answers, and print relative errors.

    The answers are computed with numpy, another way, in double precision; gradients by
    complex-step derivatives. Functions of FILE are called as those of `cutline.functional` of the
    same name. Exit code 1 when one is wrong.
    """
    from cutline.checking import BAR, check_functions, functions_of

    checked = list(check_functions(functions_of(file)))
    for one in checked:
        tell(one.function)
        for name, error in one.errors.items():
            tell(f"  {name} error: {error:.1e}" + (f" (above {BAR:g})" if error > BAR else ""))
        if one.reason:
            tell(f"  no result: {one.reason}")
    wrong = [one.function for one in checked if not one.right]
    if wrong:
        complain(f"{len(wrong)} of {len(checked)} functions are wrong: {', '.join(wrong)}")
        raise typer.Exit(1)
    results = sum(len(one.errors) for one in checked)
    tell(f"{len(checked)} functions, {results} results: all errors are at most {BAR:g}")
