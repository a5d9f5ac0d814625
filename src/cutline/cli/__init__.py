"""The command line: one thin function per verb. Nothing heavy is imported until a verb runs."""

from cutline.cli.stops import Stops

__all__ = ["main"]


def main() -> None:
    """Run the command line, and stop in a sentence when asked to, from the first import on."""
    with Stops() as stops:
        from cutline.cli.ends import run

        run(stops)
