"""Captioning starts without PyTorch's compiler, and who wants it later gets it."""

import subprocess
import sys


def python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_compiler_is_not_loaded_until_it_is_asked_for():
    code = """
import sys
import cutline.captioner
import torch
print("torch._dynamo" in sys.modules, "_dynamo" in vars(torch))
from torchvision.ops.roi_align import is_compile_supported
print(is_compile_supported("cpu"))
import torch._dynamo
print(torch._dynamo.__file__ is not None, callable(torch._dynamo.optimize))
"""
    assert python(code) == ["False", "False", "True", "True", "True"]


def test_a_compiler_that_is_there_stays():
    code = """
import torch._dynamo
before = torch._dynamo
import cutline.captioner, sys
print(sys.modules["torch._dynamo"] is before)
"""
    assert python(code) == ["True"]
