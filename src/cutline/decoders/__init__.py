"""The captioners' decoders. Importing this package registers them all.

contract     what every decoder gives
registry     the decoders by name
rnn nic dot soft hard spatial adaptive     one each
attend_and_tell   what `soft` and `hard` have in common
lstm         the LSTM they own, from scratch and fused
head         a projection before any of them
teacher_forcing   over captions that are known: `unroll`
free_running      over words that it draws itself: `rollout`
arrays       a decoder's arrays, for a search
"""

from cutline.decoders.adaptive import Adaptive
from cutline.decoders.arrays import TORCH
from cutline.decoders.contract import Decoder, Location, Step
from cutline.decoders.dot import Dot
from cutline.decoders.free_running import Rollout, rollout
from cutline.decoders.hard import Hard
from cutline.decoders.nic import Nic
from cutline.decoders.registry import (
    admit,
    build_decoder,
    decoder_fields,
    decoder_names,
    register,
)
from cutline.decoders.rnn import Rnn
from cutline.decoders.soft import Soft
from cutline.decoders.spatial import Spatial
from cutline.decoders.teacher_forcing import Unrolled, unroll

__all__ = [
    "TORCH",
    "Adaptive",
    "Decoder",
    "Dot",
    "Hard",
    "Location",
    "Nic",
    "Rnn",
    "Rollout",
    "Soft",
    "Spatial",
    "Step",
    "Unrolled",
    "admit",
    "build_decoder",
    "decoder_fields",
    "decoder_names",
    "register",
    "rollout",
    "unroll",
]
