"""Each decoder against its paper's equations, written out again; heads; and the register."""

import pytest
import torch
from torch import Tensor, nn

from cutline.config import NicConfig, SoftConfig
from cutline.decoders import Nic, Soft, build_decoder, decoder_names, unroll
from cutline.decoders.head import Head, Headed
from cutline.errors import UsageError
from cutline.functional import Features

V, D, E, H, A, R = 11, 5, 4, 6, 3, 4
WORDS = torch.tensor([[[1, 4, 9, 5]], [[1, 7, 7, 2]]])
LENGTHS = torch.tensor([[4], [4]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def features(images: int = 2) -> Features:
    grid = torch.randn(images, R, D, dtype=torch.float64)
    return Features(grid, torch.randn(images, D, dtype=torch.float64), 2, 2)


def torch_lstm(decoder: Nic | Soft) -> nn.LSTMCell:
    """PyTorch's cell with a decoder's weights: its gates stand in the order i, f, g, o."""
    hidden = decoder.Wh.shape[0]
    i, f, o, g = (torch.arange(n * hidden, (n + 1) * hidden) for n in range(4))
    order = torch.cat([i, f, g, o])
    cell = nn.LSTMCell(decoder.Wx.shape[0], hidden).double()
    with torch.no_grad():
        cell.weight_ih.copy_(decoder.Wx[:, order].T)
        cell.weight_hh.copy_(decoder.Wh[:, order].T)
        cell.bias_ih.copy_(decoder.b[order])
        cell.bias_hh.zero_()
    return cell


def teacher_forced(decoder: Nic | Soft, seen: Features) -> Tensor:
    """Scores (B, T, V)."""
    unrolled = unroll(decoder, seen, WORDS, LENGTHS)
    scores = torch.empty(WORDS.numel(), V, dtype=torch.float64)
    scores[unrolled.places] = decoder.project(unrolled.output)
    return scores.view(2, 4, V)


def randomise(decoder: nn.Module) -> None:
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0, 0.7)


def test_nic_reads_the_image_and_then_the_words():
    decoder = Nic(vocabulary_size=V, feature_size=D, embedding=E, hidden=H).double().eval()
    randomise(decoder)
    seen, cell = features(), torch_lstm(decoder)
    scores = teacher_forced(decoder, seen)
    for b in range(2):
        h, c = cell(seen.pooled[b] @ decoder.W_i.weight.T + decoder.W_i.bias)
        for t, word in enumerate(WORDS[b, 0]):
            h, c = cell(decoder.embed.weight[word], (h, c))
            expected = decoder.W_v.weight @ h + decoder.W_v.bias
            assert torch.allclose(scores[b, t], expected, atol=1e-12)


def test_nic_never_sees_the_image_again():
    decoder = Nic(vocabulary_size=V, feature_size=D, embedding=E, hidden=H).double().eval()
    memory = decoder.prepare(features())
    state = decoder.start(memory)
    here = decoder.step(WORDS[:, 0, 0], state, memory)
    elsewhere = decoder.step(WORDS[:, 0, 0], state, decoder.prepare(features()))
    assert torch.equal(here.output, elsewhere.output)


def test_soft_is_show_attend_and_tell():
    decoder = Soft(vocabulary_size=V, feature_size=D, embedding=E, hidden=H, attention=A)
    decoder.double().eval()
    randomise(decoder)
    seen, cell = features(), torch_lstm(decoder)
    unrolled = unroll(decoder, seen, WORDS, LENGTHS)
    scores, by_hand = teacher_forced(decoder, seen), []
    for b in range(2):
        a = seen.grid[b]
        mean = sum(a) / R
        h, c = torch.tanh(decoder.init_h(mean)), torch.tanh(decoder.init_c(mean))
        for t, word in enumerate(WORDS[b, 0]):
            e = [decoder.v @ torch.tanh(decoder.W_a(a_i) + h @ decoder.W_h) for a_i in a]
            alpha = torch.stack(e).exp() / sum(torch.stack(e).exp())
            beta = 1 / (1 + torch.exp(-decoder.f_beta(h)))
            z = beta * sum(share * a_i for share, a_i in zip(alpha, a, strict=True))
            y = decoder.embed.weight[word]
            h, c = cell(torch.cat([y, z]), (h, c))
            expected = decoder.L_o(y + decoder.L_h(h) + decoder.L_z.weight @ z)
            assert torch.allclose(unrolled.attention[b, 0, t], alpha, atol=1e-12)
            assert torch.allclose(scores[b, t], expected, atol=1e-12)
            by_hand.append(expected)
    weights = list(decoder.init_h.parameters())  # what every path through time leads back to
    ours = torch.autograd.grad(scores.square().sum(), weights)
    theirs = torch.autograd.grad(torch.stack(by_hand).square().sum(), weights)
    for gradient, own in zip(ours, theirs, strict=True):
        assert torch.allclose(gradient, own, rtol=1e-9)


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
    assert {"nic", "soft"} <= set(decoder_names())


def test_an_unknown_decoder_is_answered_with_the_known_ones():
    config = SoftConfig.model_construct(name="sotf")
    with pytest.raises(UsageError, match=r"no decoder 'sotf'; did you mean 'soft'\? .*nic"):
        build_decoder(config, vocabulary_size=V, feature_size=D)
