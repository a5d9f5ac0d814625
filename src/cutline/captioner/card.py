"""The model card: what a model folder says of itself to a person."""

from collections.abc import Mapping
from typing import Any

__all__ = ["card"]


def card(name: str, config: Mapping[str, Any]) -> str:
    """Write the model card (Markdown) of a model from its `config.json`."""
    provenance, scores = config["provenance"], config["scores"]
    encoder, decoder = config["encoder"], config["decoder"]
    lines = [
        f"# {name}",
        "",
        f"An image captioner trained with Cutline {config['cutline_version']}: "
        f"encoder `{encoder['name']}`, decoder `{decoder['name']}`, "
        f"{config['vocabulary_size']:,} words.",
        "",
        "```python",
        "import cutline",
        "",
        'captioner = cutline.load("PATH/TO/THIS/FOLDER")',
        'print(captioner.caption("photo.jpg").text)',
        "```",
        "",
        "## How it was made",
        "",
        *_table(provenance),
        "",
        "## Scores",
        "",
        *_table(scores),
        "",
        "## What to keep in mind",
        "",
        "It says what its training captions would say of such a picture, and it can be wrong with",
        "every appearance of certainty. `confidence` is the mean probability of the words, not a",
        "calibrated chance of being right. It knows no people, names or text, and it shares the",
        "habits and biases of those who wrote the training captions.",
        "",
    ]
    return "\n".join(lines)


def _table(facts: Mapping[str, Any]) -> list[str]:
    if not facts:
        return ["Nothing was recorded."]
    return ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in facts.items())]


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
