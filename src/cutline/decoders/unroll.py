"""Teacher forcing: a decoder's steps over captions that are known.

Shapes: `B` images with `K` captions each, `T` words a caption, `M` real words in all, `R` regions.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Location, Step, block_rows, first_rows, repeat_rows
from cutline.functional import Features

__all__ = ["Unrolled", "unroll"]


class Unrolled(NamedTuple):
    """What the steps gave, for the real words only.

    `output` (M, O); `places` (M,) says where each stands in the flattened (B, K, T);
    `attention` (B, K, T, R) and `sentinel` (B, K, T) are zero past a caption's end, `T` being the
    length of the longest; `location`, (M,) each, is of the real words.
    """

    output: Tensor
    places: Tensor
    attention: Tensor | None
    sentinel: Tensor | None
    location: Location | None = None


def unroll(decoder: Decoder, features: Features, words: Tensor, lengths: Tensor) -> Unrolled:
    """Run `decoder` over known captions, each image's features shared by its captions.

    At each step only the block of images and captions that still have words is computed. A batch
    whose images are sorted by their longest caption, and whose captions by length, wastes little:
    1.24 steps a word on Flickr8k in place of 2.1.

    Args:
        decoder: any decoder.
        features: of `B` images.
        words: what is read at each step, `<start>` first, (B, K, T).
        lengths: how many of them are real, (B, K); zero for a caption that is not there.
    """
    images, captions, longest = words.shape
    real = torch.arange(longest, device=lengths.device) < lengths.unsqueeze(-1)  # (B, K, T)
    memory = decoder.prepare(features)
    state = repeat_rows(decoder.start(memory), captions)
    outputs, places = [], []
    attention: list[Tensor] = []
    sentinel: list[Tensor] = []
    locations: list[Location] = []
    block = (images, captions)
    for t in range(int(lengths.max())):
        active = real[:, :, t]
        now = (_last(active.any(1)), _last(active.any(0)))
        if now != block:
            state = block_rows(state, block, now)
            memory = first_rows(memory, now[0])
            block = now
        step = decoder.step(words[: now[0], : now[1], t].reshape(-1), state, memory)
        state = step.state
        active = active[: now[0], : now[1]].reshape(-1)
        outputs.append(step.output[active])
        places.append(_places(now, captions, longest, t, words.device)[active])
        if step.location is not None:
            locations.append(Location(*(item[active] for item in step.location)))
        _collect(step, active, now, (images, captions), attention, sentinel)
    return Unrolled(
        torch.cat(outputs),
        torch.cat(places),
        torch.stack(attention, 2) if attention else None,
        torch.stack(sentinel, 2) if sentinel else None,
        Location(*map(torch.cat, zip(*locations, strict=True))) if locations else None,
    )


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
