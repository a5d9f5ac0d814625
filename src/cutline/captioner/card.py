"""Model card: README.md of a model folder."""

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
        *_made(provenance),
        "",
        "## Scores",
        "",
        *_table(scores),
        "",
        "## What to keep in mind",
        "",
        "It says what its training captions would say of such a picture, and it can be wrong with",
        "every appearance of certainty. It knows no people, names or text, and it shares the",
        "habits and biases of those who wrote the training captions.",
        "",
        *_confidence(config.get("sureness")),
        "",
    ]
    return "\n".join(lines)


def _made(provenance: Mapping[str, Any]) -> list[str]:
    if "mean of" not in provenance:
        return _table(provenance)
    lines = ["Its weights are the mean of those of:"]
    for part in provenance["mean of"]:
        facts = {key: value for key, value in part.items() if key not in {"name", "weight"}}
        lines += ["", f"### {part['name']}, weight {part['weight']:.3g}", "", *_table(facts)]
    return lines


def _confidence(sureness: Mapping[str, Any] | None) -> list[str]:
    if sureness is None:
        return [
            "`confidence` is the mean probability of the words, not a calibrated chance of being",
            "right.",
        ]
    return [
        "`confidence` is the probability that a caption is right. Right is a",
        f"{sureness['right']}.",
        f"Of {sureness['images']:,} captions {sureness['share_right']:.0%} were; the expected "
        "calibration error, on images that",
        f"confidence was not learned from, is {sureness['calibration_error']:.3f}. `unsure` is "
        "said of pictures unlike the photographs",
        "of training, and where the confidence is very low.",
    ]


def _table(facts: Mapping[str, Any]) -> list[str]:
    if not facts:
        return ["Nothing was recorded."]
    return ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in facts.items())]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items() if part is not None)
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
