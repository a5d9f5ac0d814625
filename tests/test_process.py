"""Freed memory is kept, garbage waits and is found, and what the user said of threads stays."""

import gc
import os
import platform
import subprocess
import sys
from contextlib import suppress

import pytest

CODE = """
import resource, sys
from cutline.process import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
for _ in range(3):
    del_me = bytearray(64 << 20)
    del del_me
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    block = bytearray(64 << 20)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> int:
    """Pages asked of the system for ten blocks, one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_block_is_used_again_without_new_pages():
    assert faults("keep") < faults() / 10


def test_other_c_libraries_are_left_alone(monkeypatch):

    from cutline import process

    def unknown(name: str) -> str:
        raise ValueError(name)

    monkeypatch.setattr(process.os, "confstr", unknown)
    assert not process.keep_freed_memory()


def test_garbage_is_looked_for_again_whatever_happens_within():
    from cutline.process import no_garbage

    with suppress(ImportError), no_garbage():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with no_garbage():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_threads_wait_as_the_user_says(monkeypatch):
    from cutline.process import give_way

    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    give_way()
    assert int(os.environ["GOMP_SPINCOUNT"]) > 0
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    give_way()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    give_way()
    assert "GOMP_SPINCOUNT" not in os.environ
