"""The dispatcher: by the exact type of a decoder, a faster way, or its own steps.

`unroll` and `rollout` are those of `cutline.decoders`, and return the same. What is not in these
tables, such as a decoder from outside the package or a class derived from one of ours, goes by its
own steps with plain autograd, and so does one with a method replaced; nothing is replaced in it.

Shapes: `B` images with `K` captions each, `T` words a caption.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from cutline import decoders
from cutline.decoders import Adaptive, Decoder, Hard, Nic, Rnn, Rollout, Soft, Spatial, Unrolled
from cutline.decoders.head import Headed
from cutline.fast import attend_and_tell, recurrent, spatial
from cutline.fast.steps import as_published, faster_steps
from cutline.fast.switch import enabled
from cutline.functional import Features
from cutline.search import Words
from cutline.search.arrays import Ints

__all__ = ["WHOLE_CAPTIONS", "rollout", "stepper", "unroll"]

WHOLE_CAPTIONS: dict[type[Decoder], Callable[..., Unrolled | None]] = {
    Soft: attend_and_tell.soft,
    Hard: attend_and_tell.hard,
    Nic: recurrent.nic,
    Rnn: recurrent.rnn_with_manual_backward,
    Spatial: spatial.spatial,
    Adaptive: spatial.adaptive,
}
"""Whole captions at once, each `(decoder, features, words, lengths)`; None: go by the steps."""


def unroll(
    decoder: Decoder,
    features: Features,
    words: Tensor,
    lengths: Tensor,
    *,
    sampling: float = 0.0,
    banned: Sequence[int] | Ints = (),
) -> Unrolled:
    """Run a decoder over known captions the fastest way there is; see `decoders.unroll`.

    Args:
        decoder: any decoder.
        features: of `B` images.
        words: what is read at each step, `<start>` first, (B, K, T).
        lengths: how many of them are real, (B, K).
        sampling: the probability of scheduled sampling, which goes by steps.
        banned: words that are never drawn.
    """
    if enabled() and not sampling:
        unrolled = _whole_captions(decoder, features, words, lengths)
        if unrolled is not None:
            return unrolled
    return decoders.unroll(
        stepper(decoder), features, words, lengths, sampling=sampling, banned=banned
    )


def rollout(
    decoder: Decoder, features: Features, *, words: Words, max_words: int, samples: int = 1
) -> Rollout:
    """Draw captions with the fastest steps there are; see `decoders.rollout`."""
    return decoders.rollout(
        stepper(decoder), features, words=words, max_words=max_words, samples=samples
    )


def stepper(decoder: Decoder) -> Decoder:
    """Return what takes a decoder's steps fastest, with the same weights: often the decoder itself.

    Of the one returned use `prepare`, `start`, `step` and `project`; never the memory of another.
    """
    return faster_steps(decoder) if enabled() else decoder


def _whole_captions(
    decoder: Decoder, features: Features, words: Tensor, lengths: Tensor
) -> Unrolled | None:
    inner: Any = decoder.decoder if type(decoder) is Headed else decoder
    whole = WHOLE_CAPTIONS.get(type(inner))
    if whole is None or not (as_published(decoder) and as_published(inner)):
        return None
    if type(decoder) is Headed:
        features = decoder.head(features)
    return whole(inner, features, words, lengths)
