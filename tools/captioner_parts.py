"""The parts of docs/captioners.md that repeat what the code says: equations and sizes."""

import importlib
import inspect
import re

import torch

from cutline.config import find_recipe, read_recipe
from cutline.decoders import build_decoder, decoder_names

__all__ = ["FEATURES", "VOCABULARY", "captioners"]

VOCABULARY = 2541  # words that occur five times in Flickr8k's training captions, and four special
FEATURES = 1280  # numbers a region has in an EfficientNet-Lite0
PART = re.compile(
    r"(<!-- (?P<kind>equations|parameters)(: (?P<name>\w+))?; written by tools/pages.py -->)"
    r".*?(<!-- /(?P=kind) -->)",
    re.DOTALL,
)


def captioners(page: str) -> str:
    """Return the page with its marked parts written again."""

    def part(found: re.Match[str]) -> str:
        text = equations(found["name"]) if found["kind"] == "equations" else parameters()
        return f"{found[1]}\n\n{text}\n\n{found[5]}"

    return PART.sub(part, page)


def equations(name: str) -> str:
    """Return a decoder's equations as its module states them, one a line."""
    module = importlib.import_module(f"cutline.decoders.{name}")
    blocks = inspect.cleandoc(module.__doc__ or "").split("\n\n")
    lines = [line for block in blocks if block.startswith("    ") for line in block.split("\n")]
    stated = [equation for line in lines for equation in re.split(r" {3,}", line) if equation]
    return "\n".join(["```text", *stated, "```"])


def parameters() -> str:
    """Return how many numbers each decoder learns on Flickr8k, in millions."""
    lines = ["| | needs | words | head | the rest | all |", "|---|---|---|---|---|---|"]
    for sizes in sorted(map(_sizes, decoder_names()), key=lambda sizes: sum(sizes[2:])):
        name, needs, *parts = sizes
        shown = [f"{count / 1e6:.2f}" for count in (*parts, sum(parts))]
        lines.append(f"| `{name}` | {needs} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _sizes(name: str) -> tuple[str, str, int, int, int]:
    """Return a decoder's name and need, and the sizes of its words, of its head and of the rest."""
    config = read_recipe(find_recipe(f"flickr8k/{name}")).decoder
    with torch.device("meta"):
        decoder = build_decoder(config, vocabulary_size=VOCABULARY, feature_size=FEATURES)
    words = head = rest = 0
    for key, weight in decoder.named_parameters():
        if VOCABULARY in weight.shape:
            words += weight.numel()
        elif key.startswith("head."):
            head += weight.numel()
        else:
            rest += weight.numel()
    return name, decoder.needs, words, head, rest
