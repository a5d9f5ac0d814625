"""Heads, and decoders by their recipes."""

import pytest
import torch

from cutline.config import HardConfig, NicConfig, RnnConfig, SoftConfig
from cutline.decoders import Hard, Nic, Rnn, Soft, build_decoder, decoder_names
from cutline.decoders.head import Head, Headed
from cutline.decoders.lstm import FusedLSTM, ScratchLSTM
from cutline.errors import UsageError
from support.papers import A, D, E, H, V, features


def test_a_head_is_linear_then_batch_norm_and_pools_what_it_made():
    head = Head(D, 3).double()
    seen = features()
    projected = head(seen)
    flat = (seen.grid @ head.linear.weight.T).reshape(-1, 3)
    expected = (flat - flat.mean(0)) / (flat.var(0, unbiased=False) + head.norm.eps).sqrt()
    assert torch.allclose(projected.grid.reshape(-1, 3), expected)
    assert torch.allclose(projected.pooled, projected.grid.mean(1))
    assert (projected.height, projected.width) == (seen.height, seen.width)


# --- by name


def test_a_decoder_is_built_with_the_sizes_of_its_recipe():
    config = SoftConfig(embedding=E, hidden=H, attention=A, dropout=0.25)
    decoder = build_decoder(config, vocabulary_size=V, feature_size=D)
    assert isinstance(decoder, Soft)
    assert decoder.embed.weight.shape == (V, E)
    assert decoder.W_a.weight.shape == (A, D)
    assert decoder.Wh.shape == (H, 4 * H)
    assert decoder.dropout == 0.25


def test_a_head_stands_before_the_decoder_and_sets_its_feature_size():
    decoder = build_decoder(NicConfig(embedding=E, head=3), vocabulary_size=V, feature_size=D)
    assert isinstance(decoder, Headed)
    assert decoder.head.linear.weight.shape == (3, D)
    assert decoder.decoder.W_i.weight.shape == (E, 3)
    assert (decoder.attends, decoder.needs) == (False, "pooled")


def test_every_decoder_of_a_recipe_is_registered():
    assert decoder_names() == ["adaptive", "dot", "hard", "nic", "rnn", "soft", "spatial"]


@pytest.mark.parametrize(("cell", "kind"), [("scratch", ScratchLSTM), ("fused", FusedLSTM)])
def test_a_recipe_chooses_the_lstm_and_its_layers(cell, kind):
    decoder = build_decoder(NicConfig(cell=cell, layers=2), vocabulary_size=V, feature_size=D)
    assert isinstance(decoder, Nic)
    assert isinstance(decoder.lstm, kind)
    assert decoder.lstm.layers == 2


def test_a_recipe_chooses_who_computes_the_gradient_of_rnn():
    config = RnnConfig(backward="manual")
    decoder = build_decoder(config, vocabulary_size=V, feature_size=D)
    assert isinstance(decoder, Rnn)
    assert decoder.by_hand


def test_what_only_training_needs_is_not_handed_to_the_decoder():
    config = HardConfig(expectation=0.25, inference="sample", samples=3, reinforce_weight=2.0)
    decoder = build_decoder(config, vocabulary_size=V, feature_size=D)
    assert isinstance(decoder, Hard)
    assert (decoder.expectation, decoder.inference) == (0.25, "sample")


def test_an_unknown_decoder_is_answered_with_the_known_ones():
    config = SoftConfig.model_construct(name="sotf")
    with pytest.raises(UsageError, match=r"no decoder 'sotf'; did you mean 'soft'\? .*nic"):
        build_decoder(config, vocabulary_size=V, feature_size=D)
