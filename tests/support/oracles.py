"""Sizes, random tensors, and PyTorch's own layers with our weights."""

import torch
from torch import Tensor, nn


def draw(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


@torch.no_grad()
def relative_error(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float(((ours - theirs).abs() / (ours.abs() + theirs.abs()).clamp(min=1e-8)).max())


@torch.no_grad()
def torch_rnn(Wx: Tensor, Wh: Tensor, b: Tensor) -> nn.RNN:
    layer = nn.RNN(*Wx.shape, batch_first=True).double()
    layer.weight_ih_l0.copy_(Wx.T)
    layer.weight_hh_l0.copy_(Wh.T)
    layer.bias_ih_l0.copy_(b)
    layer.bias_hh_l0.zero_()
    return layer


@torch.no_grad()
def torch_lstm(Wx: Tensor, Wh: Tensor, b: Tensor) -> nn.LSTM:
    hidden = len(Wh)
    i, f, o, g = (torch.arange(n * hidden, (n + 1) * hidden) for n in range(4))
    theirs_in_ours = torch.cat([i, f, g, o])  # PyTorch stacks i, f, g, o
    layer = nn.LSTM(len(Wx), hidden, batch_first=True).double()
    layer.weight_ih_l0.copy_(Wx[:, theirs_in_ours].T)
    layer.weight_hh_l0.copy_(Wh[:, theirs_in_ours].T)
    layer.bias_ih_l0.copy_(b[theirs_in_ours])
    layer.bias_hh_l0.zero_()
    return layer
