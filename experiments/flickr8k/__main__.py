"""Train and score the seven captioners on Flickr8k, several seeds each: one command a row.

python -m experiments.flickr8k --data PATH --weights FILE [--decoders soft] [--seeds 1] [--jobs 2]
python -m experiments.flickr8k --table

The encoder is frozen, so all read the same features, and all have the same budget, `BUDGET`; see
`experiments.runs` for what lies in OUT. Models are chosen and scored on validation; figures go to
experiments/results/flickr8k.json, the table and its plots into docs/results.md. `--table` writes
those again and trains nothing.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from cutline.captioner import Captioner
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError, UsageError
from cutline.evaluation import evaluate
from cutline.files import write_text
from experiments.flickr8k.table import RESULTS, Row, write_page
from experiments.records import keep, read_records
from experiments.runs import Contest, Kept, Plan, arguments, finish_all, plans

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr")
BUDGET = (
    "training.epochs=8",
    "training.precision=bf16-mixed",
    "decoder.head=256",
    "decoder.embedding=256",
    "decoder.hidden=256",
)
ATTENTION = ("decoder.attention=128",)


def budget(decoder: str) -> tuple[str, ...]:
    """Return the changes to a decoder's recipe that make all sizes and budgets alike."""
    return BUDGET + ATTENTION * (decoder in {"soft", "hard", "spatial", "adaptive"})


def judge(plan: Plan, captioner: Captioner) -> Kept:
    """Caption the validation images greedily and with the recipe's own beam; score both."""
    data = read_recipe(plan.recipe, plan.words).data
    examples = open_dataset(data.path).split("val")[: plan.images]
    judged: Kept = {"scores": {}, "intervals": {}, "signatures": {}, "speed": {}}
    for name, search in (("greedy", captioner.search(beam=1)), ("beam", captioner.search())):
        captioner.timings.clear()
        found = evaluate(
            captioner, examples, split="val", search=search, metrics=METRICS, bootstrap=1000
        )
        judged["scores"][name] = found.corpus
        judged["intervals"][name] = found.scores.intervals
        judged["signatures"][name] = found.scores.signature
        judged["speed"][name] = round(len(found.captions) / captioner.timings["search"], 1)
        text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False)
        write_text(plan.beside(f".{name}.json"), text + "\n", overwrite=True)
    return {**judged, "images": len(found.captions)}


FLICKR8K = Contest("flickr8k", budget, judge, lambda kept: str(Row.of(kept)))


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when some failed, 2 when nothing could be begun."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.flickr8k",
        description="Train every captioner on Flickr8k, several seeds each, side by side.",
    )
    arguments(parser, out="runs/flickr8k")
    place_arguments(parser)
    given = parser.parse_intermixed_args(words)
    if given.table:
        write_page(read_records(Row, RESULTS))
        return 0
    try:
        asked = plans(FLICKR8K, given, places=places(given))
        given.out.mkdir(parents=True, exist_ok=True)
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    rows = [Row.of(kept) for kept in finish_all(asked)]
    if rows:
        keep(FLICKR8K, given, rows, RESULTS, write_page)
    return 0 if len(rows) == len(asked) else 1


def place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where data, weights and features lie, and `--table`."""
    parser.add_argument("--data", help="Flickr8k: dataset_flickr8k.json with images/ beside it")
    parser.add_argument("--weights", help="the encoder's .safetensors; default: download them")
    parser.add_argument("--cache", help="folder of the feature cache; default: the user's")
    parser.add_argument("--table", action="store_true", help="write the page; train nothing")


def places(given: argparse.Namespace) -> tuple[str, ...]:
    """Return the changes to a recipe that say where data, weights and features lie."""
    if given.data is None:
        raise UsageError("Flickr8k is not part of Cutline; say where it lies with --data PATH.")
    words = {
        "data.path": given.data,
        "encoder.weights": given.weights,
        "data.cache": given.cache,
    }
    return tuple(f"{key}={value}" for key, value in words.items() if value is not None)


if __name__ == "__main__":
    sys.exit(main())
