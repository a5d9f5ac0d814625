"""Small numbers to write the papers' equations out with, and PyTorch's cells to trust."""

import torch
from torch import Tensor, nn

from cutline.decoders import Decoder, Unrolled
from cutline.fast import unroll
from cutline.functional import Features

V, D, E, H, A, R = 11, 5, 4, 6, 3, 4
WORDS = torch.tensor([[[1, 4, 9, 5]], [[1, 7, 7, 2]]])
LENGTHS = torch.tensor([[4], [4]])


def features(images: int = 2) -> Features:
    grid = torch.randn(images, R, D, dtype=torch.float64)
    return Features(grid, torch.randn(images, D, dtype=torch.float64), 2, 2)


def randomised(decoder: Decoder) -> Decoder:
    """In double precision, without dropout, far from how it starts."""
    decoder.double().eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0, 0.7)
    return decoder


def torch_cell(Wx: Tensor, Wh: Tensor, b: Tensor) -> nn.LSTMCell:
    """PyTorch's cell with weights stacked in our order: its gates stand in the order i, f, g, o."""
    hidden = len(Wh)
    i, f, o, g = (torch.arange(n * hidden, (n + 1) * hidden) for n in range(4))
    order = torch.cat([i, f, g, o])
    cell = nn.LSTMCell(len(Wx), hidden).double()
    with torch.no_grad():
        cell.weight_ih.copy_(Wx[:, order].T)
        cell.weight_hh.copy_(Wh[:, order].T)
        cell.bias_ih.copy_(b[order])
        cell.bias_hh.zero_()
    return cell


def softmax(scores: list[Tensor]) -> Tensor:
    shares = torch.stack(scores).exp()
    return shares / shares.sum()


def sigmoid(a: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-a))


def weighted(shares: Tensor, regions: Tensor) -> Tensor:
    return sum(share * region for share, region in zip(shares, regions, strict=True))


def teacher_forced(decoder: Decoder, seen: Features) -> tuple[Unrolled, Tensor]:
    """What the unroll gives, and scores (B, T, V)."""
    unrolled = unroll(decoder, seen, WORDS, LENGTHS)
    scores = torch.empty(WORDS.numel(), V, dtype=torch.float64)
    scores[unrolled.places] = decoder.project(unrolled.output)
    return unrolled, scores.view(2, 4, V)
