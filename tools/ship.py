"""Make the captioner that comes with Cutline of a trained model.

python tools/ship.py MODEL --data PATH

Calibrates it, keeps its weights in bytes, puts it into src/cutline/models/flickr8k-small, and
writes what a person should know (tools/flickr8k-small.md) and what it is bad at into its card.
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.flickr8k.kinds import report

from cutline.captioner import load
from cutline.cli import app
from cutline.data.readers import open_dataset
from cutline.evaluation import evaluate
from cutline.models import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "cutline" / "models" / SHIPPED
KNOWN = ROOT / "tools" / "flickr8k-small.md"


def main() -> None:
    """Do it; the model that was there goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    given = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    words = ["calibrate", given.model, str(FOLDER), "--data", given.data, "--storage", "int8"]
    app(words, standalone_mode=False)
    dataset = open_dataset(given.data)
    found = evaluate(load(FOLDER), dataset.split("val"), split="val")
    kinds = report(found, {e.image_id: e.captions for e in dataset.split("train")})
    with (FOLDER / "README.md").open("a", encoding="utf-8") as card:
        card.write(f"\n{KNOWN.read_text(encoding='utf-8')}{kinds}\n")


if __name__ == "__main__":
    main()
