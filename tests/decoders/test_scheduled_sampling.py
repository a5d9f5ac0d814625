"""Scheduled sampling: words of the decoder's own among those it is made to read."""

import pytest
import torch
from torch import Tensor

from cutline.decoders import Decoder, Step
from cutline.fast import unroll
from support.specimens import Counting, strides
from support.suite import (
    PAD,
    START,
    UNK,
    UNSORTED,
    V,
    by_place,
    close,
    some_captions,
    some_features,
)

BANNED = [PAD, START, UNK]
KNOWN = 11


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Listening:
    """Notes the words that a decoder reads."""

    def __init__(self, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[Tensor] = []
        self.step = decoder.step
        monkeypatch.setattr(decoder, "step", self)

    def __call__(self, words: Tensor, state: object, memory: object) -> Step:
        self.heard.append(words)
        return self.step(words, state, memory)


def counted(monkeypatch: pytest.MonkeyPatch, *, sampling: float, images: int = 1) -> Tensor:
    """What is read (T, N) by a decoder that counts, in place of captions of `KNOWN` only."""
    decoder = Counting(vocabulary_size=V, last=9)
    words = torch.full((images, 1, 6), KNOWN)
    words[..., 0] = START
    listening = Listening(decoder, monkeypatch)
    lengths = torch.full((images, 1), 6)
    unroll(decoder, strides(*[3] * images), words, lengths, sampling=sampling, banned=BANNED)
    return torch.stack(listening.heard)


def test_with_probability_one_only_own_words_follow_the_start(monkeypatch):
    assert counted(monkeypatch, sampling=1.0)[:, 0].tolist() == [START, 4, 7, 9, 9, 9]


def test_with_probability_zero_nothing_is_drawn_at_all(monkeypatch):
    before = torch.get_rng_state()
    read = counted(monkeypatch, sampling=0.0)[:, 0]
    assert read.tolist() == [START, *[KNOWN] * 5]
    assert torch.equal(torch.get_rng_state(), before)


def test_with_a_probability_between_so_many_words_are_own(monkeypatch):
    read = counted(monkeypatch, sampling=0.3, images=4_000)
    assert (read[0] == START).all()
    for heard in read[1:]:
        assert 0.27 < (heard != KNOWN).double().mean() < 0.33


def test_each_caption_counts_on_from_what_it_has_read_itself():
    words, lengths = some_captions(UNSORTED)
    decoder = Counting(vocabulary_size=V, last=9)
    features = strides(3, 4, 5, 6)
    unrolled = unroll(decoder, features, words, lengths, sampling=1.0, banned=BANNED)
    said = torch.zeros(words.numel(), dtype=torch.long)
    said[unrolled.places] = unrolled.output.argmax(1)
    assert len(unrolled.places) == lengths.sum()
    for b, captions in enumerate(said.view(words.shape)):
        for k, caption in enumerate(captions):
            count = [min(START + (b + 3) * (t + 1), 9) for t in range(int(lengths[b, k]))]
            assert caption[: lengths[b, k]].tolist() == count


def test_banned_words_are_never_read(monkeypatch):
    decoder = Counting(vocabulary_size=V, last=9, sure=0.0)
    words, lengths = some_captions([[6] * 30] * 10)
    listening = Listening(decoder, monkeypatch)
    unroll(decoder, strides(*[1] * 10), words, lengths, sampling=1.0, banned=BANNED)
    own = torch.stack(listening.heard[1:])
    assert set(own.flatten().tolist()) == set(range(V)) - set(BANNED)


def test_the_gradient_is_that_of_reading_the_same_words(decoder: Decoder, monkeypatch):
    features = some_features(2)
    words, lengths = some_captions([[4, 4, 4], [4, 4, 4]])
    with monkeypatch.context() as during:
        listening = Listening(decoder, during)
        mixed = unroll(decoder, features, words, lengths, sampling=0.5, banned=BANNED)
    heard = torch.stack(listening.heard, 1).view_as(words)
    assert not torch.equal(heard, words)
    plain = unroll(decoder, features, heard, lengths)
    assert close(by_place(mixed), by_place(plain))
    for own, theirs in zip(
        *(
            torch.autograd.grad(
                decoder.project(unrolled.output).square().sum(),
                list(decoder.parameters()),
                materialize_grads=True,
                allow_unused=True,
            )
            for unrolled in (mixed, plain)
        ),
        strict=True,
    ):
        assert close(own, theirs)
