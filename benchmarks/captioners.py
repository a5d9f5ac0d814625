"""Train every captioner on `scenes`, several seeds each, and put them side by side.

python -m benchmarks.captioners [KEY=VALUE ...] [--seeds 1,2,3] [--decoders rnn,nic] [--jobs 2]

OUT/NAME-SEED/       the run, as `cutline train` leaves it
OUT/NAME-SEED.log    what it said
OUT/NAME-SEED.json   what came of it: written last, so its scores mean that the run is done

All have the same budget, `BUDGET`. What is done is not done again, and a run that was killed goes
on. The figures go to benchmarks/results/captioners.json and into the table of docs/captioners.md;
those of a changed recipe (KEY=VALUE, as `cutline train` takes them) or of fewer images stay in OUT.
"""

import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import torch
import yaml

from benchmarks.side_by_side import RESULTS, Run, decoders, merge, read_runs, write_page, write_runs
from cutline.captioner import load
from cutline.cli.console import atomic_text
from cutline.config import find_recipe, read_recipe
from cutline.data.readers import open_dataset
from cutline.errors import CutlineError, UsageError, did_you_mean
from cutline.evaluation import evaluate

BUDGET = ("training.epochs=8",)
ONE_AT_A_TIME = Lock()  # evaluation, which happens in this process


class Plan(NamedTuple):
    """One captioner, one seed."""

    decoder: str
    seed: int
    out: Path
    changes: tuple[str, ...] = ()
    images: int | None = None
    jobs: int = 1

    def beside(self, suffix: str) -> Path:
        """Return the run's folder, or with a suffix a file beside it."""
        return self.out / f"{self.decoder}-{self.seed}{suffix}"

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return find_recipe(f"scenes/{self.decoder}")

    @property
    def words(self) -> list[str]:
        """What changes the recipe."""
        return [*BUDGET, *self.changes, f"seed={self.seed}"]

    @property
    def digest(self) -> str:
        """Tell recipes apart, by what they say and not by what their comments do."""
        said = [yaml.safe_load(self.recipe.read_text(encoding="utf-8")), BUDGET, self.changes]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


# --- one run


def finish(plan: Plan) -> tuple[Run, bool]:
    """Train and evaluate, or what is left of it; say whether all had been done before."""
    kept = _kept(plan)
    if "scores" in kept and kept["images_asked"] == plan.images:
        return Run.of(kept), True
    if "seconds" not in kept:
        kept = {"digest": plan.digest, "jobs": plan.jobs, "seconds": train(plan)}
        _keep(plan, kept)
    with ONE_AT_A_TIME:
        kept |= judge(plan)
    _keep(plan, kept)
    return Run.of(kept), False


def train(plan: Plan) -> float | None:
    """Train in a process of its own; return its seconds, None for a run that was resumed."""
    resumed = (plan.beside("") / "checkpoint.safetensors").is_file()
    words = [sys.executable, "-m", "cutline", "train", str(plan.recipe), *plan.words]
    words += ["--out", str(plan.beside("")), "--resume"]
    alone = {"OMP_NUM_THREADS": "1"} if plan.jobs > 1 else {}
    started = time.perf_counter()
    with plan.beside(".log").open("a", encoding="utf-8") as log:
        _only_one(log.fileno(), plan)
        done = subprocess.run(
            words, env={**os.environ, **alone}, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        said = plan.beside(".log").read_text(encoding="utf-8").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "nothing was said")
        raise UsageError(f"training ended with exit code {done.returncode}: {last.strip()}")
    return None if resumed else round(time.perf_counter() - started, 1)


def judge(plan: Plan) -> dict[str, Any]:
    """Caption scenes that were never seen with the recipe's own search, and score the captions."""
    if plan.jobs > 1:
        torch.set_num_threads(1)
    scenes = read_recipe(plan.recipe, plan.words).data.scenes
    captioner = load(plan.beside("") / "best")
    examples = open_dataset("scenes", **scenes.model_dump()).split("test")[: plan.images]
    found = evaluate(captioner, examples, split="test")
    facts = captioner.config.provenance
    return {
        "decoder": plan.decoder,
        "seed": plan.seed,
        "scores": found.corpus,
        "signature": found.scores.signature,
        "images": len(found.captions),
        "images_asked": plan.images,
        "parameters": sum(p.numel() for p in captioner.network.decoder.parameters()),
        "best_epoch": int(facts["epochs"]),
        "machine": facts["machine"],
    }


def _only_one(file: int, plan: Plan) -> None:
    """Hold the log. Training inherits the hold, so it outlives this process when that is killed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{plan.beside('')} is being trained by another process; wait for it, or stop it."
        ) from None


def _kept(plan: Plan) -> dict[str, Any]:
    path = plan.beside(".json")
    if not path.is_file():
        return {}
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if kept["digest"] != plan.digest:
        raise UsageError(
            f"{path} is of another recipe; give another --out, or remove it and its folder."
        )
    return kept


def _keep(plan: Plan, kept: dict[str, Any]) -> None:
    atomic_text(plan.beside(".json"), json.dumps(kept, indent=1) + "\n", force=True)


# --- all of them


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when some failed, 2 when nothing could be begun."""
    given = _arguments(words)
    try:
        plans = _plans(given)
        given.out.mkdir(parents=True, exist_ok=True)
    except CutlineError as error:
        print(error, file=sys.stderr)
        return 2
    runs = _all(plans, given.jobs)
    if not runs:
        return 1
    if given.changes or given.images:
        write_runs(given.out / RESULTS.name, runs)
        print(f"{given.out / RESULTS.name} is written; the page is of unchanged recipes only")
    else:
        current = {name: Plan(name, 0, given.out).digest for name in decoders()}
        kept = merge(read_runs(RESULTS), runs, current)
        write_runs(RESULTS, kept)
        write_page(kept)
    return 0 if len(runs) == len(plans) else 1


def _all(plans: list[Plan], jobs: int) -> list[Run]:
    runs = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(finish, plan): plan for plan in plans}
        try:
            for number, future in enumerate(as_completed(waiting), start=1):
                plan = waiting[future]
                name = f"[{number}/{len(plans)}] {plan.decoder}, seed {plan.seed}"
                try:
                    run, before = future.result()
                except (CutlineError, OSError, ValueError) as error:
                    print(f"{name}: {error}", flush=True)
                    continue
                print(f"{name}: {run}{' (done before)' if before else ''}", flush=True)
                runs.append(run)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return runs


def _plans(given: argparse.Namespace) -> list[Plan]:
    for name in given.decoders:
        if name not in decoders():
            raise UsageError(f"There is no decoder '{name}'; {did_you_mean(name, decoders())}.")
    plans = [
        Plan(name, seed, given.out, tuple(given.changes), given.images, given.jobs)
        for seed in given.seeds
        for name in given.decoders
    ]
    for plan in plans:
        read_recipe(plan.recipe, plan.words)  # a mistyped change is told before anything is trained
    return plans


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.captioners",
        description="Train every captioner on scenes, several seeds each, side by side.",
    )
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes to all recipes")
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3], help="default: 1,2,3")
    parser.add_argument(
        "--decoders", type=lambda text: text.split(","), default=decoders(), help="default: all"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/captioners"), help="folder of runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: 1")
    parser.add_argument("--images", type=int, help="evaluate on so many scenes only")
    return parser.parse_intermixed_args(words)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
