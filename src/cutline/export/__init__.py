"""ONNX export: a trained network as graphs, compared with PyTorch before they are saved.

tracing     three graphs of a network: encode, start, step
operators   replacements of what the exporter translates wrongly
weights     graphs that read their weights from model.safetensors
int8        products in eight bits
comparison  graphs against the network
"""

from cutline.export.comparison import compare
from cutline.export.int8 import quantise
from cutline.export.tracing import Graphs, trace
from cutline.export.weights import refer

__all__ = ["Graphs", "compare", "quantise", "refer", "trace"]
