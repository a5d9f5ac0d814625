"""What holds for every decoder: the registered ones, with and without a head, and two specimens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders import Decoder, Step, Unrolled
from cutline.fast import unroll
from cutline.functional import Features
from cutline.losses import word_loss
from support.suite import (
    PAD,
    START,
    UNSORTED,
    Build,
    R,
    V,
    by_place,
    close,
    rows,
    some_captions,
    some_features,
)


def alone(decoder: Decoder, features: Features, words: Tensor) -> list[Step]:
    """The steps of one caption of one image."""
    memory = decoder.prepare(features)
    state, steps = decoder.start(memory), []
    for word in words:
        steps.append(decoder.step(word.view(1), state, memory))
        state = steps[-1].state
    return steps


def scores_at(decoder: Decoder, unrolled: Unrolled, words: Tensor) -> Tensor:
    """Scores (B, K, T, V), not a number where no word is real."""
    scores = torch.full((words.numel(), V), float("nan"), dtype=unrolled.output.dtype)
    scores[unrolled.places] = decoder.project(unrolled.output)
    return scores.view(*words.shape, V)


# --- the unroll


@pytest.mark.parametrize(
    "lengths",
    [UNSORTED, [[6, 4, 1], [5, 5, 0]], [[3]], [[0, 4], [0, 0], [2, 3]], [[1, 1], [1, 0]]],
    ids=["unsorted", "sorted", "single", "an image without captions", "single words"],
)
def test_unrolling_equals_the_steps_of_each_caption_alone(
    decoder: Decoder, lengths: list[list[int]]
):
    features = some_features(len(lengths))
    words, counts = some_captions(lengths)
    unrolled = unroll(decoder, features, words, counts)
    assert len(unrolled.rows) == len(unrolled.places) == counts.sum()
    assert unrolled.rows.unique_consecutive().tolist() == list(range(len(unrolled.distinct)))
    assert len(set(unrolled.places.tolist())) == counts.sum()
    scores = scores_at(decoder, unrolled, words)
    place_of_row = {place: row for row, place in enumerate(unrolled.places.tolist())}
    for b, k in np.ndindex(*counts.shape):
        steps = alone(decoder, rows(features, [b]), words[b, k, : counts[b, k]])
        for t, step in enumerate(steps):
            assert close(scores[b, k, t], decoder.project(step.output)[0])
            if step.attention is not None:
                assert close(unrolled.attention[b, k, t], step.attention[0])
            if step.sentinel is not None:
                assert close(unrolled.sentinel[b, k, t], step.sentinel[0])
            if step.location is not None:
                row = place_of_row[int(np.ravel_multi_index((b, k, t), words.shape))]
                for ours, own in zip(unrolled.location, step.location, strict=True):
                    assert close(ours[row], own[0])
        if unrolled.attention is not None:
            assert (unrolled.attention[b, k, counts[b, k] :] == 0).all()
        if unrolled.sentinel is not None:
            assert (unrolled.sentinel[b, k, counts[b, k] :] == 0).all()


def test_a_batch_of_two_equals_two_batches_of_one(decoder: Decoder):
    features = some_features(2)
    words, lengths = some_captions([[3, 5], [6, 2]])
    together = scores_at(decoder, unroll(decoder, features, words, lengths), words)
    for b in range(2):
        one = unroll(decoder, rows(features, [b]), words[[b]], lengths[[b]])
        own = scores_at(decoder, one, words[[b]])
        assert close(together[b].nan_to_num(), own[0].nan_to_num())


def test_captions_that_share_an_image_equal_images_of_their_own(decoder: Decoder):
    features = some_features(2)
    words, lengths = some_captions([[5, 5, 2], [4, 3, 1]])
    shared = scores_at(decoder, unroll(decoder, features, words, lengths), words)
    own_features = rows(features, [0, 0, 0, 1, 1, 1])
    own_words, own_lengths = words.view(6, 1, -1), lengths.view(6, 1)
    own = scores_at(decoder, unroll(decoder, own_features, own_words, own_lengths), own_words)
    assert close(shared.nan_to_num(), own.view_as(shared).nan_to_num())


def test_what_follows_the_end_never_changes_the_loss(decoder: Decoder):
    features = some_features(4)
    words, lengths = some_captions(UNSORTED)
    targets = torch.randint(4, V, words.shape, generator=torch.Generator().manual_seed(3))

    def loss(words: Tensor, targets: Tensor) -> Tensor:
        unrolled = unroll(decoder, features, words, lengths)
        real = targets.reshape(-1)[unrolled.places]
        return word_loss(decoder.project(unrolled.output), real).loss

    expected = loss(words, targets)
    past = torch.arange(words.shape[2]) >= lengths.unsqueeze(-1)
    noise = torch.randint(0, V, words.shape, generator=torch.Generator().manual_seed(4))
    assert loss(torch.where(past, noise, words), torch.where(past, noise, targets)) == expected
    longer, targets_longer = (F.pad(x, (0, 3), value=PAD) for x in (words, targets))
    assert loss(longer, targets_longer) == expected


# --- looking


def test_attention_is_a_distribution_over_the_regions(decoder: Decoder):
    words, lengths = some_captions(UNSORTED)
    unrolled = unroll(decoder, some_features(4), words, lengths)
    if not decoder.attends:
        assert unrolled.attention is None
        return
    real = torch.arange(words.shape[2]) < lengths.unsqueeze(-1)
    attention = unrolled.attention[real]
    assert attention.shape == (int(lengths.sum()), R)
    assert (attention >= 0).all()
    looked_away = 0 if unrolled.sentinel is None else unrolled.sentinel[real]
    assert close(attention.sum(1), torch.ones(len(attention)).double() - looked_away)
    if unrolled.sentinel is not None:
        assert (looked_away > 0).all()
        assert (looked_away < 1).all()


def test_permuting_regions_permutes_attention_and_leaves_the_words(decoder: Decoder):
    features = some_features(3)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    moved = features._replace(grid=features.grid[:, order])
    words, lengths = some_captions([[4, 2], [3, 3], [5, 0]])
    before = unroll(decoder, features, words, lengths)
    after = unroll(decoder, moved, words, lengths)
    assert close(decoder.project(before.output), decoder.project(after.output))
    if before.attention is not None:
        assert close(before.attention[..., order], after.attention)
        assert not close(before.attention, after.attention)


def test_a_sampled_place_is_one_of_the_attention(build: Build):
    decoder = build().double().train()
    words, lengths = some_captions(UNSORTED)
    features = some_features(4)
    unrolled = unroll(decoder, features, words, lengths)
    if unrolled.location is None:
        return  # this one looks everywhere at once
    sampled = unrolled.location.region >= 0
    assert sampled.any()
    assert all((item[~sampled] <= 0).all() for item in unrolled.location)
    region, log_prob, entropy = (item[sampled] for item in unrolled.location)
    alpha = unrolled.attention.flatten(0, 2)[unrolled.places][sampled]
    assert close(log_prob, alpha.gather(1, region.unsqueeze(1))[:, 0].log())
    assert close(entropy, -(alpha * alpha.log()).sum(1))


# --- what a decoder is


def leaves(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    else:
        assert hasattr(item, "_fields"), f"{item!r} is neither a tensor nor a NamedTuple"
        for part in item:
            yield from leaves(part)


def test_memory_and_state_are_named_tuples_of_tensors_with_a_row_per_image(decoder: Decoder):
    memory = decoder.prepare(some_features(3))
    state = decoder.start(memory)
    assert all(len(tensor) == 3 for tensor in [*leaves(memory), *leaves(state)])
    step = decoder.step(torch.full((3,), START), state, memory)
    assert [x.shape for x in leaves(step.state)] == [x.shape for x in leaves(state)]


def test_words_are_projected_one_step_or_all_steps_at_once(decoder: Decoder):
    words, lengths = some_captions([[4, 4], [4, 4]])
    output = by_place(unroll(decoder, some_features(2), words, lengths))
    assert decoder.project(output).shape == (16, V)
    assert close(decoder.project(output.view(4, 4, -1)), decoder.project(output).view(4, 4, V))


def test_nothing_of_a_batch_stays_on_the_decoder(build: Build):
    decoder = build(dropout=0.1).double()
    before = {name: set(vars(module)) for name, module in decoder.named_modules()}
    names = set(decoder.state_dict())
    words, lengths = some_captions(UNSORTED)
    decoder.project(unroll(decoder, some_features(4), words, lengths).output)
    for name, module in decoder.named_modules():
        assert set(vars(module)) == before[name]
        assert not any(isinstance(value, Tensor) for value in vars(module).values())
    assert set(decoder.state_dict()) == names


def test_the_gradient_reaches_every_parameter(build: Build):
    decoder = build().double().train()
    words, lengths = some_captions([[5, 4], [4, 3], [3, 3]])
    unrolled = unroll(decoder, some_features(3), words, lengths)
    loss = decoder.project(unrolled.output).square().sum()
    if unrolled.location is not None:
        loss = loss + unrolled.location.log_prob.sum()
    loss.backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_mixed_precision_trains_every_parameter_too(build: Build):
    decoder = build().train()
    features = some_features(4)
    features = features._replace(grid=features.grid.float(), pooled=features.pooled.float())
    words, lengths = some_captions(UNSORTED)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        unrolled = unroll(decoder, features, words, lengths)
        loss = decoder.project(unrolled.output).float().square().sum()
        if unrolled.location is not None:
            loss = loss + unrolled.location.log_prob.sum()
    loss.backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all(), name


def test_saved_and_loaded_a_decoder_says_the_same(build: Build, decoder: Decoder, tmp_path: Path):
    save_file(decoder.state_dict(), tmp_path / "decoder.safetensors")
    torch.manual_seed(99)
    other = build().double().eval()
    words, lengths = some_captions(UNSORTED)

    def scores(decoder: Decoder) -> Tensor:
        return decoder.project(unroll(decoder, some_features(4), words, lengths).output)

    assert not close(scores(other), scores(decoder))
    other.load_state_dict(load_file(tmp_path / "decoder.safetensors"), strict=True)
    assert torch.equal(scores(other), scores(decoder))


def test_the_seed_reproduces_weights_and_dropout(build: Build):
    words, lengths = some_captions(UNSORTED)

    def once(seed: int) -> Tensor:
        torch.manual_seed(seed)
        decoder = build(dropout=0.5).double().train()
        return decoder.project(by_place(unroll(decoder, some_features(4), words, lengths)))

    assert torch.equal(once(5), once(5))
    assert not close(once(5), once(6))


def test_dropout_is_for_training_only(build: Build):
    decoder = build(dropout=0.5).double()
    words, lengths = some_captions(UNSORTED)

    def scores() -> Tensor:
        return decoder.project(by_place(unroll(decoder, some_features(4), words, lengths)))

    decoder.train()
    assert not close(scores(), scores())
    decoder.eval()
    assert torch.equal(scores(), scores())
