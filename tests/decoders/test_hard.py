"""Hard attention: what is drawn, for whom, and what is reported of it."""

from typing import Any

import pytest
import torch

from cutline.decoders import Hard
from cutline.fast import unroll
from support.suite import START, UNSORTED, R, V, by_place, close, some_captions, some_features

D = 7


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(**fields: Any) -> Hard:
    decoder = Hard(
        vocabulary_size=V, feature_size=D, embedding=5, hidden=6, attention=4, dropout=0, **fields
    )
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0, 0.7)
    return decoder.double()


def many_steps(decoder: Hard, captions: int) -> Any:
    """One step of many captions of one image."""
    memory = decoder.prepare(some_features(1))
    words = torch.full((captions,), START)
    state = decoder.start(memory)
    state = type(state)(*(item.repeat_interleave(captions, 0) for item in state))
    return decoder.step(words, state, memory)


@pytest.mark.parametrize("how", ["in training", "as inference"])
def test_places_are_drawn_as_often_as_attention_says(how: str):
    training = how == "in training"
    decoder = build(expectation=0.0, inference="sample").train(training)
    step = many_steps(decoder, 20_000)
    alpha = step.attention[0].detach()
    assert alpha.min() > 0.02
    counts = torch.bincount(step.location.region, minlength=R)
    chi_square = ((counts - 20_000 * alpha).square() / (20_000 * alpha)).sum()
    assert chi_square < 22.5  # 5 degrees of freedom: once in 2,500


def test_what_is_drawn_is_what_is_seen():
    decoder = build(expectation=0.0).train()
    features = some_features(2)
    memory = decoder.prepare(features)
    state = decoder.start(memory)
    state = type(state)(*(item.repeat_interleave(3, 0) for item in state))
    step = decoder.step(torch.full((6,), START), state, memory)
    for n, region in enumerate(step.location.region.tolist()):
        z = features.grid[n // 3, region]
        y = decoder.embed.weight[START]
        expected = y + decoder.L_h(step.state.h[n]) + decoder.L_z(z)
        assert close(step.output[n], expected)


def test_half_of_the_captions_train_on_the_expected_context():
    step = many_steps(build().train(), 10_000)
    nowhere = step.location.region == -1
    assert 0.48 < nowhere.double().mean() < 0.52
    assert (step.location.log_prob[nowhere] == 0).all()
    assert (step.location.entropy[nowhere] == 0).all()
    assert (step.location.log_prob[~nowhere] < 0).all()


def test_the_first_epochs_are_on_the_expected_context():
    decoder = build(expectation=0.5, expectation_epochs=2).train()
    shares = []
    for epoch in (1, 2, 3):
        decoder.begin_epoch(epoch)
        shares.append(float((many_steps(decoder, 2_000).location.region == -1).double().mean()))
    assert shares[:2] == [1.0, 1.0]
    assert 0.45 < shares[2] < 0.55


def test_a_caption_is_decided_on_once_and_its_siblings_apart():
    words, lengths = some_captions([[6] * 40] * 3)
    unrolled = unroll(build().train(), some_features(3), words, lengths)
    region = torch.empty(words.numel(), dtype=torch.long)
    region[unrolled.places] = unrolled.location.region
    nowhere = region.view(3, 40, 6) == -1
    assert (nowhere == nowhere[:, :, :1]).all()
    for image in nowhere[:, :, 0]:
        assert 5 < image.sum() < 35


def test_captions_on_the_expected_context_are_those_of_that_inference():
    decoder = build(expectation=1.0, inference="expectation")
    words, lengths = some_captions(UNSORTED)
    training = unroll(decoder.train(), some_features(4), words, lengths)
    captioning = unroll(decoder.eval(), some_features(4), words, lengths)
    assert close(by_place(training), by_place(captioning))
    assert close(training.attention, captioning.attention)
    assert (training.location.region == -1).all()
    assert captioning.location is None


def test_nothing_is_learned_of_places_that_were_not_drawn():
    decoder = build(expectation=1.0).train()
    words, lengths = some_captions(UNSORTED)
    location = unroll(decoder, some_features(4), words, lengths).location
    assert location is not None
    gradients = torch.autograd.grad(
        (location.log_prob + location.entropy).sum(), list(decoder.parameters()), allow_unused=True
    )
    assert all(gradient is None or (gradient == 0).all() for gradient in gradients)


def test_the_likeliest_place_is_looked_at_unless_told_otherwise():
    decoder = build().eval()
    assert decoder.inference == "argmax"
    step = many_steps(decoder, 1)
    assert step.location is None
    z = some_features(1).grid[0, step.attention[0].argmax()]
    expected = decoder.embed.weight[START] + decoder.L_h(step.state.h[0]) + decoder.L_z(z)
    assert close(step.output[0], expected)


def test_attention_is_reported_alike_however_the_place_is_chosen():
    looks = []
    for inference in ("argmax", "sample", "expectation"):
        torch.manual_seed(0)
        looks.append(many_steps(build(inference=inference).eval(), 2).attention)
    assert torch.equal(looks[0], looks[1])
    assert torch.equal(looks[0], looks[2])


def test_with_one_region_there_is_nothing_to_choose():
    decoder = build(expectation=0.0).train()
    features = some_features(2)
    features = features._replace(grid=features.grid[:, :1], height=1, width=1)
    words, lengths = some_captions([[3], [2]])
    drawn = unroll(decoder, features, words, lengths)
    assert (drawn.location.region == 0).all()
    assert (drawn.location.log_prob == 0).all()
    assert close(drawn.output, unroll(decoder.eval(), features, words, lengths).output)
