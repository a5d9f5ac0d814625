"""The command line: one thin function per verb. Nothing heavy is imported until a verb runs."""

from cutline.cli.app import app, main

__all__ = ["app", "main"]
