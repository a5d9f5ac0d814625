"""Whatever a place is judged by and against, REINFORCE's term has the exact gradient as its mean.

Two regions and two words: four sequences of places, sixteen pairs of samples, all of them weighed.
"""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.config import HardConfig
from cutline.decoders import Unrolled
from cutline.fast import unroll
from cutline.functional import Features
from cutline.training.reinforce import Reinforce
from support.forced import D, Forced, R, build, flat_gradient

T = 2
READ, SAID = torch.tensor([1, 4]), torch.tensor([4, 2])
SEQUENCES = torch.tensor(list(itertools.product(range(R), repeat=T)))


def look(decoder: Forced, places: Tensor) -> tuple[Unrolled, Tensor]:
    """Read the caption once for each row of `places` (N, T); return each word's log-likelihood."""
    decoder.look_at(places)
    generator = torch.Generator().manual_seed(3)
    grid = 2 * torch.randn(1, R, D, dtype=torch.float64, generator=generator)
    words, lengths = READ.expand(1, len(places), T), torch.full((1, len(places)), T)
    unrolled = unroll(decoder, Features(grid, grid.mean(1), 1, R), words, lengths)
    targets = SAID.expand(len(places), T).flatten()[unrolled.places]
    return unrolled, -F.cross_entropy(decoder.project(unrolled.output), targets, reduction="none")


def summed(values: Tensor, unrolled: Unrolled) -> Tensor:
    return values.new_zeros(len(values) // T).index_add(0, unrolled.places // T, values)


def weighed(credit: str, baseline: str) -> tuple[Tensor, Tensor, Tensor]:
    """What each pair of samples contributes (16, P), how probable it is (16,), the exact (P,)."""
    decoder = build(Forced)
    assert isinstance(decoder, Forced)
    unrolled, each = look(decoder, SEQUENCES)
    assert unrolled.location is not None
    p = summed(unrolled.location.log_prob, unrolled).exp()
    likelihood = summed(each, unrolled)
    # of E_s[log p(y|s)], without what back-propagation gives: the mean of d log p(y|s)
    exact = flat_gradient((p * likelihood.detach()).sum(), decoder)
    config = HardConfig(
        samples=2, credit=credit, baseline=baseline, entropy_weight=0.0, reinforce_weight=1.0
    )
    contributions, chances = [], []
    for a, b in itertools.product(range(len(SEQUENCES)), repeat=2):
        objective = Reinforce(config, T).double()
        objective.baseline.fill_(-3.0)  # as if batches had gone before
        pair, said = look(decoder, SEQUENCES[[a, b]])
        terms, _ = objective(pair, said.detach(), torch.full((1, 2), T), steps=T)
        contributions.append(-flat_gradient(terms, decoder))
        chances.append(p[a] * p[b])
    return torch.stack(contributions), torch.stack(chances).detach(), exact


@pytest.mark.parametrize("baseline", ["moving", "leave_one_out"])
@pytest.mark.parametrize("credit", ["caption", "reward_to_go"])
def test_the_mean_over_all_pairs_of_samples_is_the_exact_gradient(credit: str, baseline: str):
    each, chance, exact = weighed(credit, baseline)
    assert exact.abs().max() > 0.05
    assert torch.allclose(chance @ each, exact, atol=1e-12)


def test_each_refinement_makes_the_estimate_steadier():
    def spread(credit: str, baseline: str) -> float:
        each, chance, exact = weighed(credit, baseline)
        return float((chance @ (each - exact).square()).sum())

    assert spread("caption", "leave_one_out") < spread("caption", "moving")
    assert spread("reward_to_go", "moving") < spread("caption", "moving")
    assert spread("reward_to_go", "leave_one_out") < spread("caption", "leave_one_out")
