"""Every decoder with `fast` on and off: the same losses, the same gradients, the same captions."""

import os
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from cutline import decoders, fast
from cutline.decoders import Decoder, Hard, Unrolled
from cutline.fast.dispatch import WHOLE_CAPTIONS
from cutline.fast.steps import FASTER_STEPS, as_published
from cutline.functional import Features
from cutline.losses import word_loss
from support.suite import (
    BUILDERS,
    UNSORTED,
    WORDS,
    V,
    by_place,
    close,
    registered,
    some_captions,
    some_features,
)

STEPS = 20
TRAINED = {name: BUILDERS[name] for name in BUILDERS if not name.startswith("a ")}


@pytest.fixture(params=TRAINED, ids=lambda name: name.replace(" ", "_"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def built(name: str) -> Decoder:
    """In training, without dropout; the regions of hard attention are the likeliest, not drawn."""
    torch.manual_seed(0)
    decoder = TRAINED[name](sizes={"embedding": 12, "hidden": 16, "attention": 8}).train()
    for module in decoder.modules():
        if isinstance(module, Hard):
            module.sample = lambda alpha: alpha.argmax(1)
            module.choose_expected = lambda n, device: torch.arange(n, device=device) % 3 == 0
    return decoder


def single(features: Features) -> Features:
    return features._replace(grid=features.grid.float(), pooled=features.pooled.float())


class Trained(NamedTuple):
    losses: list[float]
    gradients: dict[str, Tensor]


def trained(name: str) -> Trained:
    """Twenty steps in single precision; the gradients are those of the last."""
    decoder, features = built(name), single(some_features(4))
    words, lengths = some_captions(UNSORTED)
    targets = torch.randint(4, V, words.shape, generator=torch.Generator().manual_seed(3))
    optimizer, losses = torch.optim.SGD(decoder.parameters(), lr=0.05), []
    for _ in range(STEPS):
        unrolled = fast.unroll(decoder, features, words, lengths)
        logits, real = decoder.project(unrolled.distinct), targets.flatten()[unrolled.places]
        loss = word_loss(logits, real, rows=unrolled.rows, per=len(real)).loss
        if unrolled.location is not None:
            loss = loss - 0.01 * (unrolled.location.log_prob + unrolled.location.entropy).mean()
        if unrolled.attention is not None:
            loss = loss + 0.1 * (1 - unrolled.attention.sum(2)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return Trained(losses, {key: p.grad for key, p in decoder.named_parameters()})


def test_losses_and_gradients_of_twenty_steps_are_the_same(name: str):
    ours = trained(name)
    with fast.disabled():
        plain = trained(name)
    assert ours.losses == pytest.approx(plain.losses, abs=1e-5)
    assert ours.losses[-1] < ours.losses[0]
    for key, gradient in plain.gradients.items():
        assert torch.allclose(ours.gradients[key], gradient, rtol=0, atol=1e-5), key


@pytest.mark.parametrize("lengths", [UNSORTED, [[3]], [[0, 4], [0, 0], [2, 3]], [[1, 1], [1, 0]]])
def test_whole_captions_are_the_steps_and_have_their_gradient(name: str, lengths: list[list[int]]):
    decoder, features = built(name).double(), some_features(len(lengths))
    words, counts = some_captions(lengths)
    grid = features.grid.requires_grad_()
    features = features._replace(pooled=grid.mean(1))

    def result() -> tuple[Unrolled, list[Tensor]]:
        unrolled = fast.unroll(decoder, features, words, counts)
        loss = decoder.project(unrolled.output).square().sum()
        if unrolled.attention is not None:
            loss = loss + (1 - unrolled.attention.sum(2)).square().sum()
        if unrolled.sentinel is not None:
            loss = loss + unrolled.sentinel.square().sum()
        if unrolled.location is not None:
            loss = loss + unrolled.location.log_prob.sum() + unrolled.location.entropy.sum()
        inputs = [grid, *decoder.parameters()]
        return unrolled, torch.autograd.grad(loss, inputs, allow_unused=True)

    whole, gradients = result()
    with fast.disabled():
        steps, own_gradients = result()
    assert torch.equal(whole.places.sort().values, steps.places.sort().values)
    assert close(by_place(whole), by_place(steps))
    for field in ("attention", "sentinel"):
        ours, own = getattr(whole, field), getattr(steps, field)
        assert (ours is None) == (own is None)
        assert ours is None or close(ours, own)
    assert (whole.location is None) == (steps.location is None)
    if whole.location is not None:
        orders = whole.places.argsort(), steps.places.argsort()
        for ours, own in zip(whole.location, steps.location, strict=True):
            assert close(ours[orders[0]], own[orders[1]])
    for ours, own in zip(gradients, own_gradients, strict=True):
        assert ours is None or own is None or close(ours, own)
        assert ours is not None or own is None or (own == 0).all()


def test_rollouts_of_one_seed_are_the_same(name: str):
    decoder, features = built(name).double(), some_features(3)

    def drawn() -> decoders.Rollout:
        torch.manual_seed(5)
        return fast.rollout(decoder, features, words=WORDS, max_words=6, samples=4)

    ours = drawn()
    with fast.disabled():
        plain = drawn()
    assert torch.equal(ours.words, plain.words)
    assert close(ours.log_probs, plain.log_probs)


def test_scheduled_sampling_of_one_seed_is_the_same(name: str):
    decoder, features = built(name).double(), some_features(4)
    words, lengths = some_captions(UNSORTED)

    def read() -> Tensor:
        torch.manual_seed(5)
        return fast.unroll(decoder, features, words, lengths, sampling=0.5).output

    ours = read()
    with fast.disabled():
        assert close(ours, read())


def test_a_stepper_shares_the_weights_and_leaves_the_decoder_as_it_was(name: str):
    decoder = built(name)
    before = {key: dict(vars(module)) for key, module in decoder.named_modules()}
    kind, stepper = type(decoder), fast.stepper(decoder)
    theirs = dict(stepper.named_parameters())
    assert all(theirs[key] is own for key, own in decoder.named_parameters())
    assert type(decoder) is kind
    assert before == {key: dict(vars(module)) for key, module in decoder.named_modules()}
    with fast.disabled():
        assert fast.stepper(decoder) is decoder


# --- who is chosen


def test_a_class_that_is_derived_from_one_of_ours_goes_by_its_own_steps():
    class Mine(decoders.Soft):
        def context(self, state, memory):
            asked.append(len(state.h))
            return super().context(state, memory)

    asked: list[int] = []
    mine = Mine(vocabulary_size=V, feature_size=7, embedding=5, hidden=6, attention=4)
    words, lengths = some_captions(UNSORTED)
    fast.unroll(mine, single(some_features(4)), words, lengths)
    assert len(asked) == int(lengths.max())
    assert fast.stepper(mine) is mine


def test_only_decoders_of_the_package_have_faster_ways():
    for kind in [*WHOLE_CAPTIONS, *FASTER_STEPS]:
        assert kind.__module__.startswith("cutline.decoders.")


# --- the switch


def test_the_switch_is_turned_back_whatever_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUTLINE_FAST", raising=False)
    with pytest.raises(ZeroDivisionError), fast.disabled():
        _ = 1 / fast.enabled()
    assert fast.enabled()
    with fast.disabled():
        with fast.disabled():
            pass
        assert not fast.enabled()


@pytest.mark.parametrize(("given", "expected"), [("0", "False"), ("1", "True"), ("", "True")])
def test_the_environment_turns_it_off(given: str, expected: str):
    said = subprocess.run(
        [sys.executable, "-c", "from cutline import fast; print(fast.enabled())"],
        env={**os.environ, "CUTLINE_FAST": given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == expected


def test_a_method_replaced_on_a_class_is_obeyed(monkeypatch: pytest.MonkeyPatch):
    decoder = registered("soft")()
    assert as_published(decoder)
    monkeypatch.setattr(type(decoder), "attend", lambda *_: None)
    assert not as_published(decoder)
    assert fast.stepper(decoder) is decoder
