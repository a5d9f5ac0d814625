"""The smallest training run that is one: a few scenes, a small encoder, seconds."""

from pathlib import Path

RECIPE = """
seed: 3
data: {path: scenes, min_frequency: 1, max_words: 20, scenes: {train: 24, val: 6, test: 6}}
encoder: {name: test_resnet, weights: random, size: 64, stage: 2, trainable: all}
decoder: {name: soft, embedding: 16, hidden: 24, attention: 12, dropout: 0.2, penalty: 0.5}
training: {epochs: 2, batch_size: 8, learning_rate: 0.003, warmup_steps: 2}
search: {beam: 2, max_words: 12}
"""


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """Write the tiny recipe into `folder`."""
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return path
