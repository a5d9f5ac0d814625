"""The command line, run in this process."""

import io
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from cutline.cli import main


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def cutline(*words, text=""):
    """Run the command line in this process, which has loaded PyTorch already.

    `text` is its standard input: a text, or the bytes of one.
    """
    given = text if isinstance(text, bytes) else text.encode()
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    before = sys.argv, sys.stdin, os.environ.pop("CUTLINE_MODEL", None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = ["cutline", *map(str, words)]
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.argv, sys.stdin = before[:2]
        if before[2] is not None:
            os.environ["CUTLINE_MODEL"] = before[2]
    printed = []
    for stream in streams:
        stream.flush()
        printed.append(stream.buffer.getvalue().decode())
    return Done(code, *printed)
