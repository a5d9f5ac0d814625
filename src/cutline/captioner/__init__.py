"""The facade: load a captioner, caption pictures, save it."""

from cutline.captioner.caption import Caption
from cutline.captioner.captioner import Captioner, Square, load
from cutline.captioner.folder import ModelConfig
from cutline.captioner.generate import generate, sample_captions
from cutline.captioner.network import Network, build_network

__all__ = [
    "Caption",
    "Captioner",
    "ModelConfig",
    "Network",
    "Square",
    "build_network",
    "generate",
    "load",
    "sample_captions",
]
