"""Captioner in PyTorch: encoder and decoder as one module, read, changed and saved.

network    encoder and decoder as one module
backend    captioning with it, on any device
model      with its configuration and words: read and saved
graphs     the ONNX graphs of a model folder
storage    weights in half precision and in bytes
shell      a network built without memory, compared with a file's header
averaging  one model of several
"""

import torch

from cutline.network.averaging import average
from cutline.network.backend import TorchBackend
from cutline.network.model import Model, network_of
from cutline.network.network import Network, build_network

__all__ = [
    "Model",
    "Network",
    "TorchBackend",
    "average",
    "build_network",
    "network_of",
    "set_threads",
]


def set_threads(threads: int) -> None:
    """Let PyTorch compute with so many threads, in the whole process."""
    torch.set_num_threads(threads)
