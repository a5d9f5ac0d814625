"""REINFORCE against the exact gradient: every sequence of places there is, weighed and summed.

Two regions and three words make eight sequences, so the expectation over places can be written
out, and its gradient be left to autograd.
"""

import itertools
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders import Hard
from cutline.fast import unroll
from cutline.functional import Features
from cutline.losses import moving_baseline, reinforce, sum_by_caption
from support.forced import D, Forced, R, build, flat_gradient

T = 3
READ = torch.tensor([1, 4, 3])
SAID = torch.tensor([4, 3, 2])
SEQUENCES = torch.tensor(list(itertools.product(range(R), repeat=T)))


class Captions(NamedTuple):
    log_likelihood: Tensor
    log_prob: Tensor
    entropy: Tensor


def captions(decoder: Hard, count: int) -> Captions:
    """The one caption, `count` times, its places drawn anew for each; (N,) each."""
    generator = torch.Generator().manual_seed(3)
    grid = 2 * torch.randn(1, R, D, dtype=torch.float64, generator=generator)
    features = Features(grid, grid.mean(1), 1, R)
    words, lengths = READ.expand(1, count, T), torch.full((1, count), T)
    unrolled = unroll(decoder, features, words, lengths)
    targets = SAID.expand(count, T).flatten()[unrolled.places]
    each = -F.cross_entropy(decoder.project(unrolled.output), targets, reduction="none")
    assert unrolled.location is not None
    return Captions(
        *(
            sum_by_caption(values, unrolled.places, captions=count, steps=T)
            for values in (each, unrolled.location.log_prob, unrolled.location.entropy)
        )
    )


def enumerated() -> tuple[Forced, Captions]:
    decoder = build(Forced)
    assert isinstance(decoder, Forced)
    decoder.look_at(SEQUENCES)
    return decoder, captions(decoder, len(SEQUENCES))


def exact_gradient() -> Tensor:
    """Of `E_s[log p(y|s)] = sum_s p(s) log p(y|s)`."""
    decoder, every = enumerated()
    return flat_gradient((every.log_prob.exp() * every.log_likelihood).sum(), decoder)


def contributions(**options: Any) -> tuple[Tensor, Tensor]:
    """What each sequence contributes to the estimate (S, P), and how probable it is (S,)."""
    decoder, every = enumerated()
    each = [
        flat_gradient(-reinforce(*(item[n] for item in every), **options), decoder)
        for n in range(len(SEQUENCES))
    ]
    return torch.stack(each), every.log_prob.detach().exp()


def spread(each: Tensor, p: Tensor) -> Tensor:
    """Variance of the estimate from one sample, by parameter."""
    mean = p @ each
    return p @ (each - mean).square()


def test_the_sequences_are_all_there_are():
    _, every = enumerated()
    p = every.log_prob.detach().exp()
    assert torch.allclose(p.sum(), torch.ones(()).double(), atol=1e-12)
    assert p.min() > 0.01
    second = p.view(R, R, R).sum(2)
    second = second[:, 1] / second.sum(1)
    assert second.max() - second.min() > 0.1  # where it looks depends on where it has looked
    assert every.log_likelihood.std() > 0.1  # where it looks matters


@pytest.mark.parametrize("baseline", [0.0, -3.0])
def test_over_all_sequences_reinforce_is_the_exact_gradient(baseline: float):
    each, p = contributions(baseline=baseline)
    assert torch.allclose(p @ each, exact_gradient(), atol=1e-12)


def test_over_drawn_sequences_reinforce_is_unbiased():
    draws = 20_000
    exact = exact_gradient()
    each, p = contributions(baseline=-3.0)
    decoder = build()
    drawn = captions(decoder, draws)
    estimate = -flat_gradient(reinforce(*drawn, baseline=-3.0), decoder)
    error = (spread(each, p) / draws).sqrt()
    felt = error > 1e-12
    assert torch.allclose(estimate[~felt], exact[~felt], atol=1e-12)
    z = (estimate - exact)[felt] / error[felt]
    assert len(z) > 60
    assert z.abs().max() < 4.5
    assert z.square().mean() < 2.5
    assert (exact[felt].abs() / error[felt]).median() > 3  # a gradient of zero would be noticed


def test_a_baseline_and_more_samples_make_the_estimate_steadier():
    without, p = contributions()
    _, every = enumerated()
    usual = float((p * every.log_likelihood.detach()).sum())
    with_baseline, _ = contributions(baseline=usual)
    assert spread(with_baseline, p).sum() < 0.5 * spread(without, p).sum()

    def scatter(samples: int) -> Tensor:
        decoder = build()
        estimates = [
            flat_gradient(reinforce(*captions(decoder, samples)), decoder) for _ in range(60)
        ]
        return torch.stack(estimates).var(0).sum()

    assert scatter(16) < scatter(1) / 8


def attention_gradient(**options: Any) -> Tensor:
    decoder = build()
    loss = reinforce(*captions(decoder, 50), **options)
    found = torch.autograd.grad(
        loss,
        [decoder.v, decoder.W_h, decoder.W_a.weight],
        allow_unused=True,
        materialize_grads=True,
    )
    return torch.cat([gradient.flatten() for gradient in found])


def test_the_likelihood_of_the_caption_teaches_attention_where_to_look():
    assert (attention_gradient() != 0).all()


def test_without_reinforce_nothing_would_teach_it():
    # what multiplying by a one-hot vector amounts to: the draw has no gradient
    assert (attention_gradient(reinforce_weight=0.0) == 0).all()


def test_the_entropy_counts_as_much_as_it_is_told_to():
    decoder, every = enumerated()
    plain, more = reinforce(*every), reinforce(*every, entropy_weight=0.25)
    ours = flat_gradient(more - plain, decoder)
    assert torch.allclose(ours, -0.25 * flat_gradient(every.entropy.mean(), decoder), atol=1e-12)
    assert (ours != 0).any()


def test_several_samples_of_a_caption_count_like_captions():
    decoder, every = enumerated()
    folded = [item.view(2, 4) for item in every]
    ours = flat_gradient(reinforce(*folded), decoder)
    assert torch.equal(ours, flat_gradient(reinforce(*every), decoder))


def test_the_baseline_follows_what_captions_usually_get():
    baseline = torch.zeros(())
    seen = [torch.tensor([-4.0, -6.0]), torch.tensor([-3.0, -5.0, -1.0])]
    expected = 0.0
    for batch in seen:
        expected = 0.9 * expected + 0.1 * float(batch.mean())
        baseline = moving_baseline(baseline, batch.requires_grad_())
    assert float(baseline) == pytest.approx(expected)
    assert not baseline.requires_grad


def test_values_are_summed_by_caption_and_an_empty_one_has_nothing():
    places = torch.tensor([0, 1, 8, 4, 9])  # captions 0, 0, 2, 1, 2 of three and a fourth
    sums = sum_by_caption(torch.tensor([1.0, 2, 3, 4, 5]), places, captions=4, steps=4)
    assert sums.tolist() == [3, 4, 8, 0]
