"""The captioners' decoders. Importing this package registers them all."""

from cutline.decoders.contract import Decoder, Location, Step
from cutline.decoders.nic import Nic
from cutline.decoders.registry import build_decoder, decoder_names, register
from cutline.decoders.soft import Soft
from cutline.decoders.stepper import TORCH, Stepper
from cutline.decoders.unroll import Unrolled, unroll

__all__ = [
    "TORCH",
    "Decoder",
    "Location",
    "Nic",
    "Soft",
    "Step",
    "Stepper",
    "Unrolled",
    "build_decoder",
    "decoder_names",
    "register",
    "unroll",
]
