"""A trained network becomes ONNX graphs, compared with PyTorch before they are kept.

trace      three graphs of a network: encode, start, step
operators  what PyTorch's exporter writes wrongly
weights    graphs that read their weights from model.safetensors
int8       products in eight bits
compare    graphs against the network
"""

from cutline.export.compare import compare
from cutline.export.int8 import quantise
from cutline.export.trace import Graphs, trace
from cutline.export.weights import places, refer

__all__ = ["Graphs", "compare", "places", "quantise", "refer", "trace"]
