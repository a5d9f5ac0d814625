"""The same captioners, faster, for training: chosen by type, switched off by `CUTLINE_FAST=0`.

Off, everything works, slower, to the same losses (with dropout: for other random numbers). Each
part has a plain twin and a test that holds
the two equal, gradients included.

switch           `CUTLINE_FAST=0`, `disabled()`
dispatch         `unroll`, `rollout`, `stepper`: what is called from outside
attend_and_tell  whole captions of `soft` and `hard`                twin: their steps
spatial          those of `spatial` and `adaptive`                  twin: their steps
recurrent        those of `nic`, and `rnn` with its gradient by hand    twin: their steps
steps            single steps with faster attention                 twin: the decoders'
attention_lstm   an LSTM with attention, its backward by hand       twin: `functional.lstm_step`
context          what it reads of the regions: gated, or sampled
packed_lstm      an LSTM, its backward by hand                      twin: `functional.lstm_step`
prefix_tree      captions that begin alike, computed once
additive         additive attention without a `tanh` for each pair  twin: `functional.attention`
products         products with a weight laid out for oneDNN         twin: `@`
results          from nodes of the tree to an `Unrolled`
"""

from cutline.fast.dispatch import rollout, stepper, unroll
from cutline.fast.switch import disabled, enabled

__all__ = ["disabled", "enabled", "rollout", "stepper", "unroll"]
