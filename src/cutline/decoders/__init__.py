"""The captioners' decoders. Importing this package registers them all.

contract     what every decoder gives
registry     the decoders by name
rnn nic dot soft hard spatial adaptive     one each
lstm         the LSTM they own, from scratch and fused
head         a projection before any of them
unroll       over captions that are known
deferred     gradients of weights, once a caption
packed       weights laid out for captioning
ready_soft   `soft`, its products gathered
twins        captions that see the same
best         the best words of many
stand_in     what `deferred` and `packed` put in the place of weights
rollout      captions made up, with a gradient
stepper      for a search
"""

from cutline.decoders.adaptive import Adaptive
from cutline.decoders.contract import Decoder, Location, Step
from cutline.decoders.dot import Dot
from cutline.decoders.hard import Hard
from cutline.decoders.nic import Nic
from cutline.decoders.packed import Precision, check_precision, pack, precisions
from cutline.decoders.registry import build_decoder, decoder_names, register
from cutline.decoders.rnn import Rnn
from cutline.decoders.rollout import Rollout, rollout
from cutline.decoders.soft import Soft
from cutline.decoders.spatial import Spatial
from cutline.decoders.stepper import TORCH, Stepper
from cutline.decoders.unroll import Unrolled, unroll

__all__ = [
    "TORCH",
    "Adaptive",
    "Decoder",
    "Dot",
    "Hard",
    "Location",
    "Nic",
    "Precision",
    "Rnn",
    "Rollout",
    "Soft",
    "Spatial",
    "Step",
    "Stepper",
    "Unrolled",
    "build_decoder",
    "check_precision",
    "decoder_names",
    "pack",
    "precisions",
    "register",
    "rollout",
    "unroll",
]
