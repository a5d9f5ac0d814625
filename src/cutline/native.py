"""C++ of our own, made into a library once on each machine, where there is a compiler.

What PyTorch does in several passes over memory one loop can do in one. Where there is no compiler,
or anything else fails, there is no library, and whoever asked does without: it takes longer, and
nothing else changes. `CUTLINE_NATIVE=0` does so on request.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from cutline.compiled import compiler

__all__ = ["native_library"]

FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")
PATIENCE = 60  # seconds


def native_library(source: Path, folder: Path) -> ctypes.CDLL | None:
    """Return the library of a C++ file, made anew unless `folder` has it, or None.

    It is made for this very processor, so its name says what of.
    """
    command = compiler()
    if os.environ.get("CUTLINE_NATIVE") == "0" or sys.platform == "win32" or command is None:
        return None
    try:
        made_of = [source.read_text(), *FLAGS, command, platform.machine(), _processor()]
        name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
        library = folder / f"{source.stem}-{name}.so"
        if not library.exists():
            _make(command, source, library)
        # what somebody else has put there is not run
        return ctypes.CDLL(str(library)) if library.stat().st_uid == os.getuid() else None
    except (OSError, subprocess.SubprocessError):
        return None


def _make(command: str, source: Path, library: Path) -> None:
    """Compile beside the place, then move it there: processes may do so at the same time."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as beside:
        made = Path(beside) / library.name
        subprocess.run(
            [command, *FLAGS, "-o", str(made), str(source)],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        made.replace(library)


def _processor() -> str:
    """Say which processor this is: on Linux by what it can do, elsewhere by the machine's name."""
    try:
        told = ("model name", "flags", "Features", "CPU part")
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "\n".join(dict.fromkeys(line for line in lines if line.startswith(told)))
    except OSError:
        return f"{platform.processor()} {platform.node()}"
