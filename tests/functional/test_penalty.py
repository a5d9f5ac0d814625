"""The doubly stochastic penalty of the tutorials, a mean over regions, beside the paper's sum."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional import doubly_stochastic_penalty

LENGTHS = torch.tensor([7, 5, 2])


def attention(regions: int) -> Tensor:
    """Attention (N, T, R) of three captions, zero past their ends, as the tutorials keep it."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 7, regions, generator=generator, dtype=torch.float64).softmax(-1)
    return weights * (torch.arange(7) < LENGTHS.unsqueeze(1)).unsqueeze(-1)


def of_the_tutorials(alphas: Tensor) -> Tensor:
    return (1 - alphas.sum(1)).square().mean()


@pytest.mark.parametrize("regions", [1, 49, 196])
def test_the_mean_of_the_tutorials_is_the_papers_sum_divided_by_the_regions(regions):
    alphas = attention(regions)
    paper = doubly_stochastic_penalty(alphas, LENGTHS)
    assert torch.allclose(paper, regions * of_the_tutorials(alphas))


@pytest.mark.parametrize("regions", [49, 196])
def test_a_loss_per_word_weighs_the_penalty_by_words_over_regions(regions):
    alphas = attention(regions)
    generator = torch.Generator().manual_seed(1)
    words = int(LENGTHS.sum())
    scores = torch.randn(words, 11, generator=generator, dtype=torch.float64)
    targets = torch.randint(11, (words,), generator=generator)
    per_word = F.cross_entropy(scores, targets)
    per_caption = F.cross_entropy(scores, targets, reduction="sum") / len(LENGTHS)
    mean_length = words / len(LENGTHS)
    tutorial = per_word + 1.0 * of_the_tutorials(alphas)
    ours = per_caption + mean_length / regions * doubly_stochastic_penalty(alphas, LENGTHS)
    assert torch.allclose(ours, mean_length * tutorial)
