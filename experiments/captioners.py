"""Train every captioner on `scenes`, several seeds each, and put them side by side.

python -m experiments.captioners [KEY=VALUE ...] [--seeds 1,2,3] [--decoders rnn,nic] [--jobs 2]

All have the same budget, `BUDGET`; see `experiments.runs` for what lies in OUT. The figures go to
experiments/results/captioners.json and into the table of docs/captioners.md; those of a changed
recipe (KEY=VALUE, as `cutline train` takes them) or of fewer images stay in OUT.
"""

import argparse
import sys
from collections.abc import Sequence

from cutline.captioner import Captioner
from cutline.config import read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError
from cutline.evaluation import evaluate
from experiments.records import keep
from experiments.runs import Contest, Kept, Plan, arguments, finish_all, plans
from experiments.side_by_side import RESULTS, Run, write_page

BUDGET = ("training.epochs=8",)


def judge(plan: Plan, captioner: Captioner) -> Kept:
    """Caption scenes that were never seen with the recipe's own search, and score the captions."""
    scenes = read_recipe(plan.recipe, plan.words).data.scenes
    examples = open_dataset("scenes", **scenes.model_dump()).split("test")[: plan.images]
    found = evaluate(captioner, examples, split="test")
    return {
        "scores": found.corpus,
        "signature": found.scores.signature,
        "images": len(found.captions),
    }


SCENES = Contest("scenes", lambda _: BUDGET, judge, lambda kept: str(Run.of(kept)))


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when some failed, 2 when nothing could be begun."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.captioners",
        description="Train every captioner on scenes, several seeds each, side by side.",
    )
    arguments(parser, out="runs/captioners")
    given = parser.parse_intermixed_args(words)
    try:
        asked = plans(SCENES, given)
        given.out.mkdir(parents=True, exist_ok=True)
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    runs = [Run.of(kept) for kept in finish_all(asked)]
    if not runs:
        return 1
    keep(SCENES, given, runs, RESULTS, write_page)
    return 0 if len(runs) == len(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
