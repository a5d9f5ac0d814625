"""A training step of `soft`: five captions share their image's features, or each has a copy."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cutline.decoders import Soft, unroll
from cutline.functional import Features
from cutline.losses import word_loss

IMAGES, CAPTIONS, REGIONS, SIZE, WORDS = 32, 5, 49, 512, 2541


def works() -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Yield the comparison: all padded and copied, against shared and only what is active."""
    torch.manual_seed(0)
    decoder = Soft(vocabulary_size=WORDS, feature_size=SIZE, attention=256, dropout=0.0)
    grid = torch.rand(IMAGES, REGIONS, SIZE)
    lengths = torch.randn(IMAGES, CAPTIONS).mul(3.5).add(11.8).clamp(5, 25).long()
    lengths = lengths.sort(1, descending=True).values
    lengths = lengths[lengths[:, 0].argsort(descending=True)]
    words = torch.randint(4, WORDS, (IMAGES, CAPTIONS, int(lengths.max()) + 1))
    shared = Features(grid, grid.mean(1), 7, 7)
    copied = Features(
        grid.repeat_interleave(CAPTIONS, 0), grid.mean(1).repeat_interleave(CAPTIONS, 0), 7, 7
    )

    def ours() -> Tensor:
        unrolled = unroll(decoder, shared, words[:, :, :-1], lengths)
        targets = words[:, :, 1:].reshape(-1)[unrolled.places]
        return _step(decoder, decoder.project(unrolled.output), targets)

    def plain() -> Tensor:
        memory = decoder.prepare(copied)
        state = decoder.start(memory)
        flat, ends = words.flatten(0, 1), lengths.flatten()
        scores = []
        for t in range(flat.shape[1] - 1):
            step = decoder.step(flat[:, t], state, memory)
            state = step.state
            scores.append(decoder.project(step.output))
        real = torch.arange(flat.shape[1] - 1) < ends.unsqueeze(1)
        return _step(decoder, torch.stack(scores, 1)[real], flat[:, 1:][real])

    assert torch.allclose(plain(), ours(), rtol=1e-4)
    yield "training step, 160 captions of 32 images, 49 regions", plain, ours


def _step(decoder: Soft, scores: Tensor, targets: Tensor) -> Tensor:
    decoder.zero_grad()
    loss = word_loss(scores, targets)
    mean = loss.loss / loss.words
    mean.backward()  # type: ignore[no-untyped-call]
    return mean.detach()
