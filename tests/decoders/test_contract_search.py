"""Every decoder under every search: what it reports, and what it has learned by heart."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from cutline.captioner import Encoded, Stepper
from cutline.decoders import TORCH, Decoder
from cutline.fast import unroll
from cutline.functional import Features
from cutline.losses import word_loss
from cutline.network import Network, TorchBackend
from cutline.search import Hypothesis, beam, greedy
from support.suite import (
    BUILDERS,
    END,
    HEIGHT,
    PAD,
    START,
    UNK,
    WIDTH,
    WORDS,
    R,
    V,
    rows,
    some_features,
)


def begun(decoder: Decoder, features: Features) -> tuple[Stepper, Any]:
    """A search's step and first state."""
    backend = TorchBackend(Network(StandInEncoder(), decoder))
    memory, state = backend.start(Encoded(features.grid, features.pooled))
    return Stepper(backend, memory, best=None), state


class StandInEncoder(nn.Module):
    """Stands for what made the features."""

    height, width = HEIGHT, WIDTH


@torch.inference_mode()
def test_teacher_forcing_confirms_what_a_beam_reports(decoder: Decoder):
    features = some_features(3)
    stepper, state = begun(decoder, features)
    found = beam(
        stepper,
        state,
        images=3,
        words=WORDS,
        max_words=7,
        width=4,
        n_best=4,
        arrays=TORCH,
    )
    for b, hypotheses in enumerate(found):
        for h in hypotheses:
            said = [*h.words, END] if h.finished else h.words
            read = torch.tensor([[[START, *said[:-1]]]])
            unrolled = unroll(decoder, rows(features, [b]), read, torch.tensor([[len(said)]]))
            log_probs = decoder.project(unrolled.output).log_softmax(1)
            own = log_probs[torch.arange(len(said)), torch.tensor(said)]
            assert h.log_prob == pytest.approx(float(own.sum()), abs=1e-4)
            assert h.log_probs == pytest.approx(own.numpy()[: len(h.words)], abs=1e-4)
            if decoder.attends:
                looks = unrolled.attention[0, 0, : len(h.words)].numpy()
                assert h.attention == pytest.approx(looks, abs=1e-10)
            if unrolled.sentinel is not None:
                away = unrolled.sentinel[0, 0, : len(h.words)].numpy()
                assert h.sentinel == pytest.approx(away, abs=1e-10)


# --- learning


class Learned(NamedTuple):
    decoder: Decoder
    features: Features
    captions: list[list[int]]


@pytest.fixture(scope="module", params=BUILDERS, ids=lambda name: name.replace(" ", "_"))
def learned(request: pytest.FixtureRequest) -> Learned:
    """Eight images and their captions, and a decoder that has read them two hundred times."""
    torch.manual_seed(0)
    decoder = BUILDERS[request.param](
        sizes={"embedding": 24, "hidden": 32, "attention": 16}, feature_size=16
    )
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(8, R, 16, generator=generator)
    features = Features(grid, grid.mean(1), HEIGHT, WIDTH)
    lengths = torch.tensor([[3], [7], [4], [6], [5], [5], [1], [7]])
    captions = torch.randint(4, V, (8, 1, 8), generator=generator)
    captions[..., 0] = START
    captions[torch.arange(8), 0, lengths[:, 0]] = END
    adam = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    decoder.train()
    for _ in range(200):
        unrolled = unroll(decoder, features, captions[:, :, :-1], lengths)
        targets = captions[:, :, 1:].reshape(-1)[unrolled.places]
        loss = word_loss(decoder.project(unrolled.output), targets).loss / 8
        adam.zero_grad()
        loss.backward()
        adam.step()
    words = [captions[b, 0, 1 : lengths[b, 0]].tolist() for b in range(8)]
    return Learned(decoder.eval(), features, words)


@torch.inference_mode()
def search(learned: Learned) -> list[Hypothesis]:
    stepper, state = begun(learned.decoder, learned.features)
    return greedy(stepper, state, images=8, words=WORDS, max_words=10, arrays=TORCH)


def test_eight_captions_are_learned_by_heart(learned: Learned):
    found = search(learned)
    assert [h.words for h in found] == learned.captions
    assert all(h.finished for h in found)


@torch.inference_mode()
def test_greedy_search_equals_a_loop_over_steps(learned: Learned):
    decoder = learned.decoder
    for b, found in enumerate(search(learned)):
        memory = decoder.prepare(rows(learned.features, [b]))
        state, word = decoder.start(memory), torch.tensor([START])
        words, log_probs, looks = [], [], []
        while len(words) < 10:
            step = decoder.step(word, state, memory)
            state = step.state
            scores = decoder.project(step.output)[0].log_softmax(0)
            scores[[PAD, START, UNK]] = -torch.inf
            word = scores.argmax().view(1)
            if word == END:
                break
            words.append(int(word))
            log_probs.append(float(scores.max()))
            looks.append(None if step.attention is None else step.attention[0].numpy())
        assert found.words == words
        assert found.log_probs == pytest.approx(log_probs, abs=1e-4)
        if decoder.attends:
            assert found.attention == pytest.approx(np.array(looks).reshape(-1, R), abs=1e-4)


def test_a_narrow_beam_is_greedy_and_a_wide_one_remembers_too(learned: Learned):
    with torch.inference_mode():
        stepper, state = begun(learned.decoder, learned.features)
        options = {"images": 8, "words": WORDS, "max_words": 10, "arrays": TORCH}
        for width in (1, 4):
            found = beam(stepper, state, width=width, **options)
            assert [h.words for [h] in found] == learned.captions
