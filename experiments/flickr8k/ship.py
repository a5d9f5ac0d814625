"""Make the captioner that comes with Cutline of a trained model.

python -m experiments.flickr8k.ship MODEL --data PATH

Calibrates it, keeps its weights in bytes, writes what a person should know (flickr8k-small.md) and
what it is bad at into its card, and puts it into src/cutline/models/flickr8k-small.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from cutline.captioner import load
from cutline.cli.app import app
from cutline.data.readers import open_dataset
from cutline.evaluation import evaluate
from cutline.models import SHIPPED
from experiments.flickr8k.kinds import report

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src" / "cutline" / "models" / SHIPPED
KNOWN = Path(__file__).with_name("flickr8k-small.md")


def main() -> None:
    """Do it; the model that was there goes when the new one is whole."""
    parser = argparse.ArgumentParser(prog="python -m experiments.flickr8k.ship")
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--data", required=True, help="Flickr8k")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
        made = Path(folder) / SHIPPED
        words = ["calibrate", given.model, str(made), "--data", given.data, "--storage", "int8"]
        app(words, standalone_mode=False)
        dataset = open_dataset(given.data)
        found = evaluate(load(made), dataset.split("val"), split="val")
        kinds = report(found, {e.image_id: e.captions for e in dataset.split("train")})
        with (made / "README.md").open("a", encoding="utf-8") as card:
            card.write(f"\n{KNOWN.read_text(encoding='utf-8')}{kinds}\n")
        shutil.rmtree(FOLDER, ignore_errors=True)
        made.rename(FOLDER)


if __name__ == "__main__":
    main()
