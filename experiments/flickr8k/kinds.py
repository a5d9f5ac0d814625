"""What a captioner is good and bad at, by kinds of pictures and kinds of words.

python -m experiments.flickr8k.kinds MODEL --data PATH [--split val]

A picture is of a kind when most of its references use a word of that kind. A word that a caption
states, such as a colour, holds when any reference states it, too. What is printed is Markdown, for
a model card: figures, and no reference.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cutline.captioner import load
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError
from cutline.evaluation import Evaluation, evaluate

PICTURES = {
    "dogs": "dog dogs puppy puppies",
    "children": "boy boys girl girls child children kid kids toddler baby",
    "men": "man men guy guys",
    "women": "woman women lady ladies",
    "groups": "group crowd people team several many",
    "water": "water pool ocean sea lake river wave waves swimming surfing surfer beach",
    "snow": "snow snowy snowboarder snowboard skier skiing ski sled",
    "balls": "ball soccer football basketball tennis baseball volleyball",
    "bicycles and motorcycles": "bike bicycle bicyclist biker motorcycle motorbike cyclist",
    "climbing": "climb climbs climbing climber cliff",
    "streets": "street sidewalk city road building store",
    "indoors": "room indoors table bed couch kitchen chair restaurant",
}
WORDS = {
    "colours": "black white brown red blue green yellow orange pink purple grey gray tan",
    "numbers": "two three four five",
    "dogs": PICTURES["dogs"],
    "men and boys": "man men boy boys guy guys",
    "women and girls": "woman women girl girls lady ladies",
    "balls": "ball soccer football basketball tennis baseball volleyball",
    "water": "water pool ocean sea lake river wave waves",
    "running and jumping": "run runs running jump jumps jumping",
}


def words_of(text: str) -> set[str]:
    """Return the words of a caption."""
    return set(re.findall(r"[a-z]+", text.lower()))


def by_pictures(found: Evaluation) -> list[tuple[str, int, float]]:
    """Return each kind of picture, how many there are, and their mean CIDEr; the best first."""
    rows = []
    for kind, listed in PICTURES.items():
        of_kind = set(listed.split())
        images = [
            image
            for image, references in found.references.items()
            if 2 * sum(bool(of_kind & words_of(text)) for text in references) > len(references)
        ]
        if images:
            rows.append((kind, len(images), _cider(found, images)))
    return sorted(rows, key=lambda row: -row[2])


def by_words(found: Evaluation) -> list[tuple[str, int, float]]:
    """Return each kind of word, how often captions state one, and how often that holds."""
    rows = []
    for kind, listed in WORDS.items():
        of_kind = set(listed.split())
        holds: list[bool] = []
        for image, caption in found.captions.items():
            said = set().union(*(words_of(text) for text in found.references[image]))
            # a grown person may be called a child and a boy a man: any word of the kind will do
            same = kind not in {"colours", "numbers"}
            holds += [
                bool(of_kind & said) if same else word in said
                for word in of_kind & words_of(caption.text)
            ]
        if holds:
            rows.append((kind, len(holds), float(np.mean(holds))))
    return sorted(rows, key=lambda row: -row[2])


def _cider(found: Evaluation, images: Iterable[str]) -> float:
    return float(np.mean([found.scores.per_image[image]["CIDEr"] for image in images]))


def report(found: Evaluation, training: Mapping[str, Sequence[str]]) -> str:
    """Write it in Markdown; `training` maps images to the captions that were learned from."""
    captions = [caption.text for caption in found.captions.values()]
    seen = {" ".join(re.findall(r"[\w'-]+", text.lower())) for t in training.values() for text in t}
    repeated = np.mean([text in seen for text in captions])
    [(most, times)] = Counter(captions).most_common(1)
    lines = ["| pictures of | images | CIDEr |", "|---|---|---|"]
    lines += [f"| {kind} | {many} | {score:.2f} |" for kind, many, score in by_pictures(found)]
    lines += ["", "| words for | said | someone else says so too |", "|---|---|---|"]
    lines += [f"| {kind} | {many} | {share:.0%} |" for kind, many, share in by_words(found)]
    lines += [
        "",
        f"{len(set(captions)):,} of {len(captions):,} captions differ from all others, "
        f'{repeated:.0%} are word for word a caption of training. The most frequent, "{most}", '
        f"comes {times} times.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Caption, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.flickr8k.kinds")
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    given = parser.parse_args()
    try:
        dataset = open_dataset(given.data)
        found = evaluate(load(given.model), dataset.split(given.split), split=given.split)
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    print(report(found, {e.image_id: e.captions for e in dataset.split("train")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
