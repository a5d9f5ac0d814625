"""C++ of our own, made into a library once on each machine, where there is a compiler.

What PyTorch does in several passes over memory one loop can do in one. Where there is no compiler,
or anything else fails, there is no library, and whoever asked does without: it takes longer, and
numbers differ by rounding. `CUTLINE_NATIVE=0` does so on request.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from cutline.compiled import compiler

__all__ = ["native_library"]

FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")
PATIENCE = 30  # seconds
OTHERS_WRITE = 0o022


def native_library(source: Path, folder: Path) -> ctypes.CDLL | None:
    """Return the library of a C++ file, made anew unless `folder` has it, or None.

    It is made for this user and this very processor, so its name says what of. Where others could
    have written to it, it is not loaded.
    """
    if os.environ.get("CUTLINE_NATIVE") == "0" or sys.platform == "win32":
        return None
    try:
        command = _command()
        if command is None:
            return None
        made_of = [source.read_text(), *FLAGS, *command, str(os.geteuid()), _processor()]
        name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
        library = folder / f"{source.stem}-{name}.so"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder):
            return None
        if library.is_file() and _is_ours(library):
            try:
                return ctypes.CDLL(str(library))
            except OSError:  # half of it was written when the power went, say
                library.unlink()
        _make(command, source, library)
        return ctypes.CDLL(str(library))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _command() -> list[str] | None:
    """Return the compiler's command, with what else `CXX` says, or None: it is not there."""
    found = compiler()
    return None if found is None else [found, *shlex.split(os.environ.get("CXX") or "")[1:]]


def _is_ours(path: Path) -> bool:
    known = path.lstat()
    return known.st_uid == os.geteuid() and not known.st_mode & OTHERS_WRITE


def _make(command: list[str], source: Path, library: Path) -> None:
    """Compile beside the place, then move it there: processes may do so at the same time."""
    with tempfile.TemporaryDirectory(dir=library.parent) as beside:
        made = Path(beside) / library.name
        subprocess.run(
            [*command, *FLAGS, "-o", str(made), str(source)],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        made.chmod(0o700)
        made.replace(library)


def _processor() -> str:
    """Say which processor this is: on Linux by what it can do, elsewhere by the machine's name."""
    told = ("model name", "flags", "Features", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = dict.fromkeys(line for line in lines if line.startswith(told))
    except OSError:
        known = {}
    return "\n".join([platform.machine(), *(known or [platform.processor(), platform.node()])])
