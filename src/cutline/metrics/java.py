"""Java subprocess: found, checked and talked with, for METEOR and SPICE.

Nothing here starts before it is asked for, and no figure depends on the user's language.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

__all__ = ["OPTIONS", "JavaProgram", "environment", "find_java", "why_no_java"]

OLDEST = 8

# English, because lower-casing depends on the language. The rest leaves no files behind, not even
# after a crash.
OPTIONS = (
    "-Duser.language=en",
    "-Duser.country=US",
    "-Dfile.encoding=UTF-8",
    "-XX:-UsePerfData",
    "-XX:+SuppressFatalErrorMessage",
)

# Seconds that `java -version` may take; it takes a tenth of one.
PROBE = 60
# How many lines of complaints are kept, and how many characters of one are shown.
KEPT, SHOWN = 100, 200


def find_java() -> str | None:
    """Return the program `java` of $JAVA_HOME, else the one on PATH, else nothing."""
    home = os.environ.get("JAVA_HOME")
    own = shutil.which("java", path=str(Path(home, "bin"))) if home else None
    return own or shutil.which("java")


def why_no_java(score: str, *, newest: int | None = None, because: str = "") -> str | None:
    """Say in one sentence why `score` cannot run Java here, or nothing when it can.

    `newest` is the last version that will do, `because` the reason.
    """
    wanted = f"Java {OLDEST} or newer" if newest is None else f"Java {OLDEST} to {newest}"
    java = find_java()
    if java is None:
        return f"{score} needs Java, and there is none in JAVA_HOME or on PATH: install {wanted}"
    try:
        version = _version(java)
    except OSError as problem:
        return (
            f"{score} needs Java, but '{java}' does not run ({problem}): "
            f"install {wanted}, or point JAVA_HOME at one"
        )
    if version < OLDEST or (newest is not None and version > newest):
        reason = f" ({because})" if because else ""
        return f"{score} needs {wanted}{reason}, and '{java}' is {version}: point JAVA_HOME at one"
    return None


@cache
def _version(java: str) -> int:
    """Return 17 for `openjdk version "17.0.2"` and 8 for "1.8.0_312"; raise OSError if broken.

    What raises is not cached, so Java that has been repaired is found.
    """
    try:
        done = subprocess.run(
            [java, "-version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment(),
            timeout=PROBE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"'java -version' took more than {PROBE} seconds") from None
    except OSError as error:
        raise OSError(error.strerror or str(error)) from None
    said = (done.stderr + done.stdout).decode(errors="replace").strip()
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if done.returncode != 0 or version is None:
        raise OSError(f"it said: {said.partition(chr(10))[0][:SHOWN].strip() or 'nothing'}")
    return int(version[1])


def environment() -> dict[str, str]:
    """Return the user's environment, with a locale in which Java can open any path."""
    locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return {**os.environ, "LC_ALL": locale}


class JavaProgram:
    """A program that answers lines with lines, alive until it is closed or Python ends.

    It must end when its standard input does: that is how it goes when Python is killed.
    """

    def __init__(self, command: Sequence[str], *, folder: Path) -> None:
        # Unbuffered pipes have no locks that a fork could leave locked.
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        self._complaints: deque[bytes] = deque(maxlen=KEPT)
        self._threads = [
            Thread(target=_listen, args=(pipe, put), daemon=True)
            for pipe, put in (
                (self._process.stdout, self._answers.put),
                # Read at all times: a program that nobody listens to stops when the pipe is full.
                (self._process.stderr, self._complain),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def alive(self) -> bool:
        """Say whether the program is still running."""
        return self._process.poll() is None

    def ask(self, line: bytes, *, answers: int = 1, patience: float) -> list[str]:
        """Write one line and return as many as answer it, waiting `patience` seconds for each.

        Raises EOFError with the program's last words if it ends, and TimeoutError. Whatever goes
        wrong, an interrupt by the user included, it is closed: a late answer must not be taken
        for the answer to the next question.
        """
        if b"\n" in line:
            raise ValueError("a question is one line")
        try:
            self._write(line + b"\n")
            return [self._read(patience) for _ in range(answers)]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=1)
        self._close_pipes()

    def abandon(self) -> None:
        """Let go of the program in a forked process, where it belongs to the parent.

        A copy of its standard input that stays open would keep it alive after the parent.
        """
        self._close_pipes()
        self._process.returncode = 0  # no longer ours to wait for

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except OSError:
            raise EOFError(self._last_words()) from None

    def _read(self, patience: float) -> str:
        try:
            answer = self._answers.get(timeout=patience)
        except Empty:
            raise TimeoutError(f"no answer in {patience:g} seconds") from None
        if answer is None:
            raise EOFError(self._last_words())
        return answer.decode(errors="replace").strip()

    def _complain(self, line: bytes | None) -> None:
        if line is not None:
            self._complaints.append(line)

    def _last_words(self) -> str:
        """Return the last complaint that is not a line of a stack trace."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._threads[1].join(timeout=1)
        said = [line for line in self._complaints if line.strip() and not line[:1].isspace()]
        if said:
            return said[-1].decode(errors="replace").strip()[:SHOWN]
        return f"exit status {self._process.poll()}"

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _listen(pipe: IO[bytes], put: Callable[[bytes | None], object]) -> None:
    """Hand over each line, then nothing."""
    rest = b""
    while chunk := os.read(pipe.fileno(), 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            put(line)
    if rest:
        put(rest)
    put(None)
