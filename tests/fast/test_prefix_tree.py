"""Captions as a prefix tree: which are computed once, and where each word stands."""

import torch

from cutline.fast.prefix_tree import PrefixTree

LENGTHS = torch.tensor([[2, 3, 0], [0, 0, 0], [4, 0, 1]])
# of the first image both begin with a b, of the last one ends where the other goes on
WORDS = torch.tensor(
    [[1, 7, 0, 0], [1, 7, 9, 0], [0] * 4, *[[0] * 4] * 3, [1, 5, 6, 5], [0] * 4, [1, 0, 0, 0]]
)


def test_captions_that_begin_alike_are_read_once_until_they_part():
    tree = PrefixTree(LENGTHS, WORDS)
    assert tree.step.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert tree.caption.tolist() == [0, 1, 6, 8, 0, 1, 6, 1, 6, 6]
    assert tree.node.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]
    assert tree.first_word.tolist() == [0, 2, 4, 6, 7, 8, 9]
    assert tree.query.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert tree.parent_state.tolist() == [0, 2, 3, 4, 5, 6, 8]
    assert tree.last_words(WORDS).tolist() == [1, 1, 7, 5, 9, 6, 5]
    assert tree.places(5)[:6].tolist() == [0, 5, 30, 40, 1, 6]


def test_where_captions_part_both_have_the_look_before():
    words = WORDS.clone()
    words[1, 1] = 8
    tree = PrefixTree(LENGTHS, words)
    first, second, third, _ = tree.steps
    assert (first.queries, first.nodes) == (slice(0, 2), slice(0, 2))
    assert first.select_active(torch.tensor([7, 8, 9])).tolist() == [7, 9]
    assert (second.queries, second.nodes) == (slice(2, 4), slice(2, 5))
    assert second.active is None
    assert second.expand(torch.tensor([7, 8])).tolist() == [7, 7, 8]
    assert second.expand_backward(torch.ones(3)).tolist() == [2, 1]
    assert third.select_active(torch.tensor([7, 8, 9])).tolist() == [8, 9]
    assert third.select_active_backward(torch.ones(2)).tolist() == [0, 1, 1]
    assert tree.query.tolist() == [0, 1, 2, 2, 3, 4, 5, 6]


def test_rows_go_to_the_block_and_back():
    third = PrefixTree(LENGTHS, WORDS).steps[2]
    rows = torch.arange(1.0, 3).unsqueeze(1)
    block = third.scatter(rows)
    assert block[:, :, 0].tolist() == [[1], [0], [2]]
    assert torch.equal(third.gather(block), rows)


def test_captions_can_each_be_read_by_themselves():
    tree = PrefixTree(LENGTHS, WORDS, unshared=torch.ones(9, dtype=torch.bool))
    first, second, *_ = tree.steps
    assert first.queries == first.nodes == slice(0, 4)
    assert first.parent is None
    assert first.select_active(torch.tensor([7, 8, 9])).tolist() == [7, 7, 9, 9]
    assert first.select_active_backward(torch.ones(4)).tolist() == [2, 0, 2]
    assert first.scatter(torch.arange(1, 5)).tolist() == [[1, 2], [0, 0], [3, 4]]
    assert second.queries == second.nodes == slice(4, 7)
    assert tree.query.tolist() == tree.node.tolist() == list(range(10))
    assert tree.image.tolist() == [0, 0, 2, 2, 0, 0, 2, 0, 2, 2]
    assert tree.unshared.all()


def test_or_some_of_them_while_others_share():
    words = torch.tensor([[1, 7, 9], [1, 7, 9], [1, 7, 8], [1, 7, 9]])
    tree = PrefixTree(torch.tensor([[3, 3, 3, 3]]), words, unshared=torch.arange(4) == 1)
    first, second, _ = tree.steps
    assert first.select_active(torch.tensor([7])).tolist() == [7, 7]
    assert first.expand(torch.tensor([7, 8])).tolist() == [7, 8]
    assert (second.queries, second.nodes) == (slice(2, 4), slice(2, 4))
    assert tree.unshared.tolist() == [False, True] * 3
    assert tree.node[tree.caption == 1].tolist() == [1, 3, 6]
    assert [tree.node[tree.caption == n].tolist() for n in (0, 3)] == [[0, 2, 5]] * 2
    assert tree.node[tree.caption == 2].tolist() == [0, 2, 4]
