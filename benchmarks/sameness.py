"""Whether the fast ways say what the plain one says: captions of a validation split, word for word.

python -m benchmarks.sameness MODEL --data PATH [--images 1000]

The plain way is the network as it was trained, in float32; beside it, the same made ready in each
precision that this machine has.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from rich.progress import track

from benchmarks.machine import matmul_precision
from cutline.captioner import Captioner, Network, generate, load
from cutline.data.examples import Example
from cutline.data.readers import open_dataset
from cutline.decoders import precisions
from cutline.metrics import score

BATCH = 32


@torch.inference_mode()
def captions(captioner: Captioner, network: Network, examples: list[Example]) -> dict[str, str]:
    """Caption with the model's own search."""
    found: dict[str, str] = {}
    starts = range(0, len(examples), BATCH)
    for first in track(starts, "captions", disable=not sys.stderr.isatty()):
        some = examples[first : first + BATCH]
        squares = [captioner.square(example.picture.open()).pixels for example in some]
        pixels = torch.stack([torch.from_numpy(square) for square in squares]).permute(0, 3, 1, 2)
        best = generate(
            network.decoder, network.features(pixels), captioner.vocabulary, captioner.search()
        )
        found |= {
            example.image_id: ranked[0].text for example, ranked in zip(some, best, strict=True)
        }
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sameness", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=None)
    given = parser.parse_args(words)
    examples = open_dataset(given.data).split(given.split)[: given.images]
    references = {example.image_id: example.captions for example in examples}
    captioner = load(given.model)
    with matmul_precision("highest"):
        plain = captions(captioner, captioner.network.eval(), examples)
    before = score(plain, references, metrics=("CIDEr",)).corpus["CIDEr"]
    print(f"plain: CIDEr {before:.4f}, {len(plain)} images")
    for precision in precisions():
        ready = load(given.model, precision=precision)
        fast = captions(ready, ready.ready.get(), examples)
        same = sum(fast[image] == text for image, text in plain.items()) / len(plain)
        cider = score(fast, references, metrics=("CIDEr",)).corpus["CIDEr"]
        print(f"{precision}: same words {same:.1%}, CIDEr {cider:.4f} ({cider - before:+.4f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
