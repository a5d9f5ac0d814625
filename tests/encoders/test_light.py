"""Captioning starts without what it does not need, and who wants it later gets it."""

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


def test_torchvisions_models_are_there_for_who_asks():
    code = """
import sys
import cutline.captioner
print("torchvision.models" in sys.modules)
import torchvision
print(hasattr(torchvision, "nothing"), hasattr(torchvision, "models"))
import torchvision.models
print(torchvision.models.resnet18.__name__)
"""
    assert python(code) == ["False", "False", "True", "resnet18"]


def test_timm_still_finds_features_by_name():
    code = """
import cutline.captioner
import timm
from timm.layers import get_graph_node_names
print(*get_graph_node_names(timm.create_model("test_resnet"))[0][:2])
"""
    assert python(code) == ["x", "conv1.0"]
