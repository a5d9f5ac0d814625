"""The equations of the captioners as pure functions of tensors.

What `torch.nn.functional` is to layers, this is to captioners: no parameters are kept, any float
dtype goes, and the decoders call these very functions.

features     what an encoder gives
recurrent    RNN and LSTM, a step and a whole sequence; the RNN's gradient written out by hand
additive     the scores of additive attention, fast
attention    where a caption looks: dot products, a small network, a sentinel
objectives   what training makes small

What makes the decoders fast, and is not part of the interface:

products       with a weight that was laid out for them
order          in which the words of many captions are read
packed_lstm    an LSTM over whole captions, back by hand
attended_lstm  one that looks before it reads
glimpse        what that one sees

Shapes: `B` images, `N` captions (`N = B * K` where several captions share an image), `T` time
steps, `E` word embedding, `H` hidden state, `R` image regions (a grid of `h x w`), `D` feature
size, `A` attention size, `V` vocabulary. Caption `n` belongs to image `n // K`.
"""

from cutline.functional.additive import Keys, additive_scores, prepare_keys
from cutline.functional.attention import (
    adaptive_attention,
    additive_attention,
    dot_product_attention,
    multinoulli,
    take_regions,
    visual_sentinel,
)
from cutline.functional.features import Features
from cutline.functional.objectives import doubly_stochastic_penalty, temporal_softmax_loss
from cutline.functional.recurrent import (
    RnnGradients,
    attention_lstm,
    attention_lstm_step,
    lstm,
    lstm_gates,
    lstm_step,
    rnn,
    rnn_backward,
    rnn_step,
)

__all__ = [
    "Features",
    "Keys",
    "RnnGradients",
    "adaptive_attention",
    "additive_attention",
    "additive_scores",
    "attention_lstm",
    "attention_lstm_step",
    "dot_product_attention",
    "doubly_stochastic_penalty",
    "lstm",
    "lstm_gates",
    "lstm_step",
    "multinoulli",
    "prepare_keys",
    "rnn",
    "rnn_backward",
    "rnn_step",
    "take_regions",
    "temporal_softmax_loss",
    "visual_sentinel",
]
