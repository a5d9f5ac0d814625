"""What a captioner says of pictures chosen by a rule: a random draw, its best, its worst.

python -m experiments.flickr8k.gallery MODEL --data PATH --sheets FOLDER

The photographs may not be published, so docs/results.md says in words what is on them
(described.json, by image); `--sheets` makes contact sheets for who writes that, or wants to look.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cutline.captioner import load
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError
from cutline.evaluation import Evaluation, evaluate
from experiments.records import write_between

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results.md"
DESCRIBED = Path(__file__).with_name("described.json")
BEGIN = "<!-- gallery: written by python -m experiments.flickr8k.gallery; do not edit -->"
END = "<!-- /gallery -->"
SEED = 8
DRAWN, EXTREME = 12, 6
SIDE, ACROSS = 224, 6


def choose(found: Evaluation) -> dict[str, list[str]]:
    """Choose images: drawn with a seed fixed before anybody looked, the best and worst by CIDEr.

    Many captions score next to nothing; of the hundred lowest those are the worst that the
    captioner was surest of.
    """
    images = list(found.captions)
    drawn = np.random.default_rng(SEED).choice(len(images), DRAWN, replace=False)
    order = sorted(images, key=lambda image: found.scores.per_image[image]["CIDEr"])
    lowest = sorted(order[:100], key=lambda image: -found.captions[image].confidence)
    return {
        "Drawn at random": [images[int(place)] for place in drawn],
        "The best": order[::-1][:EXTREME],
        "The worst": lowest[:EXTREME],
    }


def table(
    chosen: Mapping[str, Sequence[str]], found: Evaluation, described: Mapping[str, str]
) -> str:
    """Write it in Markdown."""
    parts = []
    for title, images in chosen.items():
        lines = [
            f"| {title} | what is on it | it says | confidence | CIDEr |",
            "|---|---|---|---|---|",
        ]
        for image in images:
            caption = found.captions[image]
            cider = found.scores.per_image[image]["CIDEr"]
            seen = described.get(image, "*not described yet*")
            lines.append(
                f"| {image.partition('_')[0]} | {seen} | {caption.hedged} | "
                f"{caption.confidence:.2f} | {cider:.2f} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures side by side, in rows."""
    rows = -(-len(pictures) // ACROSS)
    whole = Image.new("RGB", (SIDE * ACROSS, SIDE * rows), "white")
    for place, picture in enumerate(pictures):
        corner = (SIDE * (place % ACROSS), SIDE * (place // ACROSS))
        whole.paste(picture.convert("RGB").resize((SIDE, SIDE)), corner)
    return whole


def main() -> int:
    """Caption validation, choose, write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.flickr8k.gallery")
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets; never commit them")
    given = parser.parse_args()
    try:
        examples = open_dataset(given.data).split("val")
        found = evaluate(load(given.model), examples, split="val", metrics=("CIDEr",))
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    chosen = choose(found)
    described = json.loads(DESCRIBED.read_text(encoding="utf-8"))
    write_between(PAGE, BEGIN, END, table(chosen, found, described))
    if given.sheets:
        given.sheets.mkdir(parents=True, exist_ok=True)
        by_id = {example.image_id: example.picture for example in examples}
        for title, images in chosen.items():
            path = given.sheets / f"{title.lower().replace(' ', '_')}.png"
            sheet([by_id[image].open() for image in images]).save(path)
            print(path, *images, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
