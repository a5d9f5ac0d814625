"""The LSTM from scratch and the fused one: with the weights copied, they are one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from cutline.decoders.lstm import FusedLSTM, LstmState, ScratchLSTM, copy_weights
from cutline.functional import lstm

N, T, E, H = 5, 6, 4, 3
LAYERS = pytest.mark.parametrize("layers", [1, 2, 3])
LENGTHS = pytest.mark.parametrize(
    "lengths", [[6, 4, 4, 2, 1], [2, 6, 1, 4, 3], [1, 1, 1, 1, 1]], ids=str
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def both(layers: int, *, first: type = ScratchLSTM) -> tuple[ScratchLSTM, FusedLSTM]:
    """Two that were drawn apart, the weights of the `first` copied to the other."""
    scratch = ScratchLSTM(E, H, layers=layers).double()
    fused = FusedLSTM(E, H, layers=layers).double()
    with torch.no_grad():
        for parameter in [*scratch.parameters(), *fused.parameters()]:
            parameter.normal_(0, 0.7)
    source, target = (scratch, fused) if first is ScratchLSTM else (fused, scratch)
    copy_weights(source, target)
    return scratch, fused


def some_state(layers: int) -> LstmState:
    return LstmState(draw(N, layers, H), draw(N, layers, H))


def agree(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("first", [ScratchLSTM, FusedLSTM])
@LAYERS
def test_with_the_weights_copied_a_sequence_is_the_same(layers: int, first: type):
    x, state = draw(N, T, E), some_state(layers)
    for given in (state, None):
        (ours, ours_last), (theirs, theirs_last) = (m(x, given) for m in both(layers, first=first))
        assert agree(ours, theirs)
        assert all(map(agree, ours_last, theirs_last))


@LAYERS
def test_a_sequence_is_its_steps(layers: int):
    x = draw(N, T, E)
    for module in both(layers):
        state, (expected, last) = some_state(layers), module(x)
        outputs, state = [], module.start(N)
        for x_t in x.unbind(1):
            h, state = module.step(x_t, state)
            outputs.append(h)
        assert agree(torch.stack(outputs, 1), expected)
        assert all(map(agree, state, last))
        assert agree(state.h[:, -1], expected[:, -1])


@LENGTHS
@LAYERS
def test_packed_sequences_are_the_same_and_end_where_each_ends(layers: int, lengths: list[int]):
    x, state = draw(N, T, E), some_state(layers)
    ordered = sorted(lengths, reverse=True) == lengths
    for enforce_sorted in {False, ordered}:
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=enforce_sorted
        )
        scratch, fused = both(layers)
        (ours, ours_last), (theirs, theirs_last) = scratch(packed, state), fused(packed, state)
        assert isinstance(ours, PackedSequence)
        assert agree(ours.data, theirs.data)
        assert all(map(agree, ours_last, theirs_last))
        padded, counts = pad_packed_sequence(ours, batch_first=True)
        assert counts.tolist() == lengths
        for n, length in enumerate(lengths):
            own = LstmState(state.h[[n]], state.c[[n]])
            alone, last = scratch(x[[n], :length], own)
            assert agree(padded[[n], :length], alone)
            assert agree(ours_last.h[[n]], last.h)
            assert agree(ours_last.c[[n]], last.c)


@LENGTHS
@LAYERS
def test_their_gradients_are_the_same(layers: int, lengths: list[int]):
    x, state, weights = draw(N, T, E), some_state(layers), torch.randn(N, T, H).double()
    gradients = []
    for module in both(layers):
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        outputs, last = module(packed, state)
        padded, _ = pad_packed_sequence(outputs, batch_first=True)
        loss = (padded * weights[:, : padded.shape[1]]).sum() + last.h.sin().sum() + last.c.sum()
        loss.backward()
        gradients.append([x.grad, state.h.grad, state.c.grad, *weight_gradients(module)])
        x.grad = state.h.grad = state.c.grad = None
    for ours, theirs in zip(*gradients, strict=True):
        assert agree(ours, theirs)


def weight_gradients(module: ScratchLSTM | FusedLSTM) -> list[Tensor]:
    """Gate by gate: input, forget, output, candidate; weights of `[x; h]`, then biases."""
    found = []
    for layer in range(module.layers):
        if isinstance(module, ScratchLSTM):
            cell = module.cells[layer]
            gates = [cell.input_gate, cell.forget_gate, cell.output_gate, cell.candidate]
            found += [gate.weight.grad for gate in gates] + [gate.bias.grad for gate in gates]
        else:
            w_ih, w_hh, b_ih, b_hh = (
                getattr(module.lstm, f"{name}_l{layer}").grad.chunk(4)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            assert all(map(agree, b_ih, b_hh))
            order = (0, 1, 3, 2)  # PyTorch's candidate comes before its output gate
            found += [torch.cat([w_ih[n], w_hh[n]], 1) for n in order] + [b_ih[n] for n in order]
    return found


def test_one_layer_is_the_function():
    x, state = draw(N, T, E), some_state(1)
    for module in both(1):
        h, _ = module(x, state)
        assert agree(h, lstm(x, state.h[:, 0], *module.stacked(0), c0=state.c[:, 0]))


def test_the_fused_one_is_that_of_torch():
    x = draw(N, T, E)
    _, fused = both(2)
    theirs = nn.LSTM(E, H, 2, batch_first=True).double()
    theirs.load_state_dict(fused.lstm.state_dict())
    outputs, (h, c) = theirs(x)
    ours, state = fused(x)
    assert agree(ours, outputs)
    assert agree(state.h, h.transpose(0, 1))
    assert agree(state.c, c.transpose(0, 1))


@LAYERS
def test_weights_copied_there_and_back_are_unchanged(layers: int):
    scratch, fused = both(layers)
    before = {name: weight.clone() for name, weight in scratch.state_dict().items()}
    with torch.no_grad():
        for parameter in scratch.parameters():
            parameter.zero_()
    copy_weights(fused, scratch)
    after = scratch.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", [ScratchLSTM, FusedLSTM])
def test_dropout_falls_between_layers_and_in_training_only(kind: Callable[..., nn.Module]):
    x = draw(N, T, E)
    for layers, differs in ((1, False), (2, True)):
        module = kind(E, H, layers=layers, dropout=0.5).double().train()
        assert (not agree(module(x)[0], module(x)[0])) == differs
        state = module.start(N)
        assert (
            not agree(module.step(x[:, 0], state)[0], module.step(x[:, 0], state)[0])
        ) == differs
        module.eval()
        assert agree(module(x)[0], module(x)[0])


@pytest.mark.parametrize("kind", [ScratchLSTM, FusedLSTM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_float_type_goes_and_stays(kind: Callable[..., nn.Module], dtype: torch.dtype):
    module = kind(E, H, layers=2).to(dtype)
    h, state = module(draw(N, T, E).to(dtype))
    assert h.dtype == state.h.dtype == state.c.dtype == module.start(1).h.dtype == dtype
    assert module.step(draw(N, E).to(dtype), module.start(N))[0].dtype == dtype
