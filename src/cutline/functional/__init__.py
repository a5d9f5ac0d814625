"""The published equations of the captioners, as pure functions of tensors.

What `torch.nn.functional` is to layers, this is to captioners: no parameters are kept, any float
dtype goes, and each function is a step or a loss that a decoder or its training calls.

features     what an encoder gives
recurrent    RNN and LSTM, a step and a whole sequence; the RNN's gradient written out by hand
attention    dot-product and additive attention, hard attention, the visual sentinel
objectives   the loss of a caption, the doubly stochastic penalty

The same computations, made faster for training, are in `cutline.fast`.

Shapes: `B` images, `N` captions (`N = B * K` where several captions share an image), `T` time
steps, `E` word embedding, `H` hidden state, `R` image regions (a grid of `h x w`), `D` feature
size, `A` attention size, `V` vocabulary. Caption `n` belongs to image `n // K`.
"""

from cutline.functional.attention import (
    adaptive_attention,
    additive_attention,
    additive_scores,
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
    "rnn",
    "rnn_backward",
    "rnn_step",
    "take_regions",
    "temporal_softmax_loss",
    "visual_sentinel",
]
