"""A packed decoder says what the decoder says: to rounding in float32, nearly in less."""

from typing import Any

import pytest
import torch
from suite import START, V, some_features

from cutline.decoders import TORCH, Decoder, Stepper, decoder_names, pack, precisions
from cutline.decoders.registry import _DECODERS
from cutline.errors import UsageError
from cutline.functional import Features
from cutline.functional.products import has, lay_out_int8
from cutline.search import Words, beam

NEAR = {"float32": 1e-5, "bfloat16": 0.02, "int8": 0.1}


def build(name: str, **fields: Any) -> Decoder:
    torch.manual_seed(0)
    return _DECODERS[name](
        vocabulary_size=V, feature_size=7, embedding=12, hidden=16, **fields
    ).eval()


def features() -> Features:
    seen = some_features(3)
    return seen._replace(grid=seen.grid.float(), pooled=seen.pooled.float())


@torch.inference_mode()
def three_steps(decoder: Decoder) -> torch.Tensor:
    memory = decoder.prepare(features())
    state = decoder.start(memory)
    scores = []
    for word in (START, 4, 5):
        step = decoder.step(torch.full((3,), word), state, memory)
        state = step.state
        scores.append(decoder.project(step.output))
    return torch.stack(scores)


@pytest.mark.parametrize("precision", precisions())
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        *((name, {}) for name in decoder_names() if name != "hard"),
        ("hard", {"inference": "expectation"}),  # an arg-max may fall on another region
        ("nic", {"layers": 2}),
        ("soft", {"cell": "scratch"}),
        ("adaptive", {"cell": "scratch"}),
    ],
)
def test_every_decoder_says_the_same_when_packed(name: str, fields: dict[str, Any], precision):
    decoder = build(name, **fields)
    before = {key: value.clone() for key, value in decoder.state_dict().items()}
    packed = pack(decoder, precision)
    wanted, found = three_steps(decoder), three_steps(packed)
    assert (found - wanted).norm() < NEAR[precision] * wanted.norm()
    assert (found - wanted).norm() > 0 or precision == "float32"
    assert all(torch.equal(value, before[key]) for key, value in decoder.state_dict().items())
    assert "forward" not in vars(decoder.W_v if hasattr(decoder, "W_v") else decoder)


def test_a_search_finds_the_same_captions():
    decoder = build("soft")
    found = []
    for each in (decoder, pack(decoder)):
        with torch.inference_mode():
            stepper = Stepper(each, features())
            words = Words(START, 2, torch.tensor([0, 1, 3]).numpy())
            hypotheses = beam(
                stepper, stepper.state, images=3, words=words, max_words=9, width=3, arrays=TORCH
            )
        found.append([best.words for best, *_ in hypotheses])
    assert found[0] == found[1]


def test_a_precision_that_this_machine_lacks_is_told_with_those_it_has(monkeypatch):
    monkeypatch.setattr("cutline.decoders.packed.precisions", lambda: ("float32",))
    with pytest.raises(UsageError, match="precision is int8, but this machine has float32"):
        pack(build("soft"), "int8")


@pytest.mark.skipif(not has("int8"), reason="this CPU has no fast products in eight bits")
@pytest.mark.parametrize("biased", [True, False])
def test_in_eight_bits_a_row_does_not_depend_on_its_neighbours(biased: bool):
    torch.manual_seed(0)
    weight, bias = torch.randn(20, 30), torch.randn(20) if biased else None
    product = lay_out_int8(weight, bias)
    rows = torch.randn(4, 30)
    alone = product(rows[:3])
    rows[3] *= 1000
    assert torch.allclose(product(rows)[:3], alone, atol=1e-5)
    wanted = torch.nn.functional.linear(rows, weight, bias)
    assert ((product(rows) - wanted).norm(dim=1) < 0.02 * wanted.norm(dim=1)).all()
    assert product(torch.zeros(1, 30)).isfinite().all()
