"""Training in mixed precision: bfloat16 products, float32 weights, captions as they will be."""

import pytest
import torch
from safetensors.torch import load_file

from cutline.config import read_recipe
from cutline.training import train
from support.tiny import write_recipe

SIZES = ("decoder.embedding=16", "decoder.hidden=24", "data.scenes.train=16", "training.epochs=1")
FIELDS = {
    "rnn": (),
    "nic": (),
    "dot": (),
    "soft": ("decoder.attention=12",),
    "hard": ("decoder.attention=12", "decoder.samples=2", "decoder.baseline=leave_one_out"),
    "spatial": ("decoder.attention=12",),
    "adaptive": ("decoder.attention=12",),
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_captioner_trains_in_mixed_precision(name, tmp_path):
    path = write_recipe(tmp_path)
    text = path.read_text().replace(
        "{name: soft, embedding: 16, hidden: 24, attention: 12, dropout: 0.2, penalty: 0.5}",
        f"{{name: {name}}}",
    )
    path.write_text(text)
    words = (*SIZES, *FIELDS[name], "training.precision=bf16-mixed")
    found = train(read_recipe(path, words), tmp_path / "run", say=lambda _: None)
    assert found.history[0]["train/cross_entropy_per_word"] < 10
    weights = load_file(found.folder / "model.safetensors").values()
    assert {w.dtype for w in weights if w.is_floating_point()} == {torch.float32}


def test_self_critical_training_compares_with_the_greedy_caption_too(tmp_path):
    words = (*SIZES, *FIELDS["soft"], "training.precision=bf16-mixed")
    words += ("training.objective=self_critical", "training.self_critical.baseline=greedy")
    found = train(read_recipe(write_recipe(tmp_path), words), tmp_path / "run", say=lambda _: None)
    assert "train/reward" in found.history[0]
