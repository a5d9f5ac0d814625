"""Several captioners at once: at each step the mean of their words' probabilities.

python -m benchmarks.flickr8k.ensemble MODEL MODEL ... --data PATH [--split val]

They need the same words, and may differ in all else. It costs as much as all of them, so that what
it scores is reported apart. Searched for as the first one's configuration says.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cutline.captioner import Captioner, generate, in_batches, load
from cutline.data.readers import open_dataset
from cutline.decoders import Decoder
from cutline.decoders.contract import Step
from cutline.errors import CutlineError, UsageError
from cutline.functional import Features
from cutline.metrics import score

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")


class Parts(tuple[Any, ...]):
    """A part for each decoder, made as a NamedTuple is."""

    def __new__(cls, *parts: Any) -> "Parts":
        """Take them one by one."""
        return super().__new__(cls, parts)


class Ensemble(Decoder):
    """Decoders whose probabilities are averaged; memory and state have a part for each.

    `features` are what each one's encoder saw. `project` has nothing left to do.
    """

    attends = False
    needs = "grid"

    def __init__(self, decoders: Sequence[Decoder], features: Sequence[Features]) -> None:
        super().__init__()
        self.decoders = decoders
        self.features = features

    def prepare(self, features: Features) -> Any:  # noqa: ARG002
        """Prepare each with its own features."""
        pairs = zip(self.decoders, self.features, strict=True)
        return Parts(*(decoder.prepare(seen) for decoder, seen in pairs))

    def start(self, memory: Any) -> Any:
        """Start each."""
        pairs = zip(self.decoders, memory, strict=True)
        return Parts(*(decoder.start(own) for decoder, own in pairs))

    def step(self, words: Tensor, state: Any, memory: Any) -> Step:
        """Step each, and average."""
        parts = zip(self.decoders, state, memory, strict=True)
        steps = [(decoder, decoder.step(words, h, own)) for decoder, h, own in parts]
        log_probs = torch.stack(
            [decoder.project(step.output).float().log_softmax(1) for decoder, step in steps]
        )
        return Step(log_probs.logsumexp(0), Parts(*(step.state for _, step in steps)))

    def project(self, output: Tensor) -> Tensor:
        """They are scores already."""
        return output


@torch.inference_mode()
def captions(captioners: Sequence[Captioner], pictures: Sequence[Any]) -> list[str]:
    """Return a caption of each picture."""
    first = captioners[0]
    words = [one.vocabulary.words(range(len(one.vocabulary))) for one in captioners]
    if any(theirs != words[0] for theirs in words):
        raise UsageError("The models have different words; give models of one vocabulary.")
    decoders = [captioner.ready.get().decoder for captioner in captioners]
    found = []
    for batch in in_batches(pictures, 32):
        features = [one.encode([one.square(p.open()) for p in batch]) for one in captioners]
        together = Ensemble(decoders, features)
        best = generate(together, features[0], first.vocabulary, first.config.search)
        found += [said[0].text for said in best]
    return found


def main() -> int:
    """Caption a split and score it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flickr8k.ensemble")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    given = parser.parse_args()
    try:
        examples = open_dataset(given.data).split(given.split)
        said = captions([load(model) for model in given.models], [e.picture for e in examples])
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    by_id = {e.image_id: text for e, text in zip(examples, said, strict=True)}
    scores = score(by_id, {e.image_id: e.captions for e in examples}, metrics=METRICS)
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.corpus.items()))
    print(scores.signature)
    return 0


if __name__ == "__main__":
    sys.exit(main())
