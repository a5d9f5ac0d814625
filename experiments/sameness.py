"""Whether the graphs say what PyTorch says: captions of a validation split, word for word.

python -m experiments.sameness MODEL --data PATH [--images 1000]

PyTorch captions with the network as it was trained, in float32; beside it ONNX Runtime with the
graphs of the same folder, their products in float32 and in int8.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from cutline.captioner import Captioner, Precision, load
from cutline.data.readers import open_dataset
from cutline.evaluation import Evaluation, evaluate


def main(words: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sameness", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=None)
    given = parser.parse_args(words)
    examples = open_dataset(given.data).split(given.split)[: given.images]

    def said(captioner: Captioner) -> Evaluation:
        return evaluate(captioner, examples, split=given.split, metrics=("CIDEr",))

    plain = said(load(given.model, backend="torch"))
    before = plain.corpus["CIDEr"]
    print(f"PyTorch: CIDEr {before:.4f}, {len(examples)} images")
    for precision in get_args(Precision):
        found = said(load(given.model, precision=precision))
        pairs = [(found.captions[image].text, one.text) for image, one in plain.captions.items()]
        same, cider = sum(a == b for a, b in pairs) / len(pairs), found.corpus["CIDEr"]
        print(f"{precision}: same words {same:.1%}, CIDEr {cider:.4f} ({cider - before:+.4f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
