"""Teacher forcing: a decoder's steps over captions that are known.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption, `M` real words in all,
`Q` outputs, `R` regions, `O` output size.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Location, Step, block_rows, first_rows, repeat_rows
from cutline.decoders.deferred import Going, deferred_gradients
from cutline.decoders.own_words import draw_words
from cutline.functional import Features
from cutline.functional.order import Order
from cutline.search.arrays import Ints

__all__ = ["Unrolled", "unroll"]

KNOWN = -1  # in place of a word of the decoder's own: the known one is read


class Unrolled(NamedTuple):
    """What the steps gave, for the real words only.

    `output` (Q, O); `rows` (M,) says which of them a word has, as many of them as begin alike may
    have the same one, and never one before that of the word before it; `places` (M,) says where
    words stand in the flattened (B, K, T); `attention` (B, K, T, R) and `sentinel` (B, K, T) are
    zero past a caption's end, `T` being the length of the longest; `location`, (M,) each, is of the
    real words.
    """

    output: Tensor
    rows: Tensor
    places: Tensor
    attention: Tensor | None
    sentinel: Tensor | None
    location: Location | None = None


class Carried(NamedTuple):
    """What one step leaves to the next, `N` rows: the state, and words of its own or `KNOWN`."""

    state: Any
    own: Tensor


def unroll(
    decoder: Decoder,
    features: Features,
    words: Tensor,
    lengths: Tensor,
    *,
    sampling: float = 0.0,
    banned: Sequence[int] | Ints = (),
) -> Unrolled:
    """Run `decoder` over known captions, each image's features shared by its captions.

    A decoder that can `run` whole captions does. Of any other, only the block of images and
    captions that still have words is computed at each step. A batch whose images are sorted by
    their longest caption, and whose captions by length, wastes little: 1.24 steps a word on
    Flickr8k in place of 2.1.

    Args:
        decoder: any decoder.
        features: of `B` images.
        words: what is read at each step, `<start>` first, (B, K, T).
        lengths: how many of them are real, (B, K); zero for a caption that is not there.
        sampling: the probability that a word after the first is not read but drawn from what the
            step before predicted, without a gradient: scheduled sampling, Bengio et al. 2015
            (arXiv 1506.03099), section 2.4.
        banned: words that are never drawn, such as `<pad>`, `<start>` and `<unk>`.
    """
    memory = decoder.prepare(features)
    if not sampling:
        ran = decoder.run(words.flatten(0, 1), lengths, memory)
        if ran is not None:
            order = ran.order
            attention = None if ran.attention is None else _by_caption(ran.attention, order)
            places = order.places(words.shape[2])
            return Unrolled(ran.output, order.prefix, places, attention, None, ran.location)
    state = repeat_rows(decoder.start(memory), words.shape[1])
    draw = partial(_own_words, decoder, sampling=sampling, banned=banned) if sampling else None
    with deferred_gradients(decoder) as going:
        return _steps(decoder, memory, state, words, lengths, going, draw=draw)


def _by_caption(rows: Tensor, order: Order) -> Tensor:
    """Put what prefixes have (Q, R) where their words are, zeros past the end: (B, K, T, R)."""
    empty = rows.new_zeros(order.lengths.numel() * order.longest, rows.shape[1])
    every = empty.index_copy(0, order.places(order.longest), rows.index_select(0, order.prefix))
    return every.view(*order.lengths.shape, order.longest, -1)


def _steps(
    decoder: Decoder,
    memory: Any,
    state: Any,
    words: Tensor,
    lengths: Tensor,
    going: Going,
    *,
    draw: Callable[[Tensor], Tensor] | None = None,
) -> Unrolled:
    images, captions, longest = words.shape
    real = torch.arange(longest, device=lengths.device) < lengths.unsqueeze(-1)  # (B, K, T)
    carried = Carried(state, torch.full_like(words[:, :, 0].reshape(-1), KNOWN))
    outputs, places = [], []
    attention: list[Tensor] = []
    sentinel: list[Tensor] = []
    locations: list[Location] = []
    block = (images, captions)
    for t in range(int(lengths.max())):
        active = real[:, :, t]
        now = (_last(active.any(1)), _last(active.any(0)))
        if now != block:
            carried = block_rows(carried, block, now)
            memory = first_rows(memory, now[0])
            block = now
        active = active[: now[0], : now[1]].reshape(-1)
        going.tell(active)
        known = words[: now[0], : now[1], t].reshape(-1)
        read = known.where(carried.own == KNOWN, carried.own)
        step = decoder.step(read, carried.state, memory)
        carried = Carried(step.state, draw(step.output) if draw else carried.own)
        outputs.append(step.output[active])
        places.append(_places(now, captions, longest, t, words.device)[active])
        if step.location is not None:
            locations.append(Location(*(item[active] for item in step.location)))
        _collect(step, active, now, (images, captions), attention, sentinel)
    output = torch.cat(outputs)
    return Unrolled(
        output,
        torch.arange(len(output), device=output.device),
        torch.cat(places),
        torch.stack(attention, 2) if attention else None,
        torch.stack(sentinel, 2) if sentinel else None,
        Location(*map(torch.cat, zip(*locations, strict=True))) if locations else None,
    )


@torch.no_grad()
def _own_words(
    decoder: Decoder, output: Tensor, *, sampling: float, banned: Sequence[int] | Ints
) -> Tensor:
    """Words (N,) drawn from the outputs (N, O), for a share of the rows; `KNOWN` for the others."""
    own = torch.full((len(output),), KNOWN, device=output.device)
    chosen = (torch.rand(len(output), device=output.device) < sampling).nonzero()[:, 0]
    if len(chosen):
        own[chosen] = draw_words(decoder, output[chosen], banned)[0]
    return own


def _last(flags: Tensor) -> int:
    return int(flags.nonzero().max()) + 1


def _places(
    block: tuple[int, int], captions: int, longest: int, t: int, device: torch.device
) -> Tensor:
    image = torch.arange(block[0], device=device).unsqueeze(1)
    caption = torch.arange(block[1], device=device)
    return ((image * captions + caption) * longest + t).reshape(-1)


def _collect(
    step: Step,
    active: Tensor,
    block: tuple[int, int],
    full: tuple[int, int],
    attention: list[Tensor],
    sentinel: list[Tensor],
) -> None:
    rest = (0, full[1] - block[1], 0, full[0] - block[0])
    if step.attention is not None:
        seen = step.attention * active.unsqueeze(1)
        attention.append(F.pad(seen.view(*block, -1), (0, 0, *rest)))
    if step.sentinel is not None:
        sentinel.append(F.pad((step.sentinel * active).view(block), rest))
