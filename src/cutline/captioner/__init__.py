"""Captioning: load a captioner, caption pictures. Needs no PyTorch.

captioner   the facade
loading     by folder or name, on ONNX Runtime or PyTorch
backend     encode, start and step, whatever computes them
onnx        on ONNX Runtime
session     a graph that has been loaded
graph_file  a graph that has not, looked at first
weights     whether they are numbers
generation  a search, and its words
caption     what is said of a picture
sureness    how sure it is
folder      what a model folder holds
"""

from cutline.captioner.backend import Backend, Encoded, Precision, Stepper
from cutline.captioner.caption import Caption
from cutline.captioner.captioner import Captioner, Square, in_batches
from cutline.captioner.folder import ModelConfig, read_config
from cutline.captioner.generation import generate, sample_captions
from cutline.captioner.loading import load, model_name
from cutline.captioner.sureness import Familiar, Sureness, SurenessConfig, mean_log_prob

__all__ = [
    "Backend",
    "Caption",
    "Captioner",
    "Encoded",
    "Familiar",
    "ModelConfig",
    "Precision",
    "Square",
    "Stepper",
    "Sureness",
    "SurenessConfig",
    "generate",
    "in_batches",
    "load",
    "mean_log_prob",
    "model_name",
    "read_config",
    "sample_captions",
]
