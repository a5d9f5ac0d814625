"""LSTMs over a prefix tree against the steps of each caption, values and gradients."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from cutline.decoders.lstm import FusedLSTM
from cutline.fast.packed_lstm import packed_lstm
from cutline.fast.prefix_tree import PrefixTree
from cutline.fast.recurrent import read_packed, read_tree
from cutline.functional import lstm_gates
from support.suite import close

E, H = 5, 4


def draw(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


def some_tree() -> PrefixTree:
    """One image with captions of three words and of two, which begin alike, and one with a word."""
    words = torch.tensor([[1, 4, 5], [1, 6, 0], [1, 0, 0], [0, 0, 0]])
    return PrefixTree(torch.tensor([[3, 2], [1, 0]]), words)


def test_states_of_the_nodes_are_those_of_each_caption_alone():
    a, h0, c0, Wh = draw(5, 4 * H), draw(2, H), draw(2, H), draw(H, 4 * H)
    states = packed_lstm(a, h0, c0, Wh, some_tree())
    for image, nodes in ((0, [0, 2, 4]), (0, [0, 3]), (1, [1])):
        alone = h0[[image]], c0[[image]]
        for node in nodes:
            alone = lstm_gates(a[[node]] + alone[0] @ Wh, alone[1])
            assert all(close(of[node], own[0]) for of, own in zip(states, alone, strict=True))


def test_the_gradient_of_hidden_and_cell_states_is_that_of_finite_differences():
    given = [draw(*shape, grad=True) for shape in ((5, 8), (2, 2), (2, 2), (2, 8))]
    assert gradcheck(lambda *given: packed_lstm(*given, some_tree()), given)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_fused_lstm_reads_a_tree_or_packed_captions_as_each_alone(layers: int):
    words = torch.tensor([[1, 4, 5], [1, 4, 6], [1, 0, 0], [0, 0, 0], [2, 2, 0], [1, 2, 0]])
    tree = PrefixTree(torch.tensor([[3, 3], [1, 0], [2, 2]]), words)
    nodes = tree.first_word.shape[0]
    x, lstm = draw(3 + nodes, E), FusedLSTM(E, H, layers=layers).double()
    expected = torch.empty(nodes, H).double()
    for n, image in enumerate([0, 0, 1, 1, 2, 2]):
        own = tree.node[tree.caption == n]
        alone = torch.cat([x[[image]], x[3 + own]])
        expected[own] = lstm(alone.unsqueeze(0))[0][0, 1:]
    for read in (read_tree, read_packed):
        assert close(read(lstm, x, tree), expected)
