"""The facade: load a captioner, caption pictures, save it."""

from cutline.captioner.average import average
from cutline.captioner.caption import Caption
from cutline.captioner.captioner import Captioner, Square, in_batches, load
from cutline.captioner.folder import ModelConfig
from cutline.captioner.generate import generate, sample_captions
from cutline.captioner.network import Network, build_network
from cutline.captioner.storage import Storage
from cutline.captioner.sureness import Familiar, Sureness, SurenessConfig, mean_log_prob

__all__ = [
    "Caption",
    "Captioner",
    "Familiar",
    "ModelConfig",
    "Network",
    "Square",
    "Storage",
    "Sureness",
    "SurenessConfig",
    "average",
    "build_network",
    "generate",
    "in_batches",
    "load",
    "mean_log_prob",
    "sample_captions",
]
