"""Train every captioner with several seeds and the same budget: what all such comparisons share.

OUT/NAME-SEED/       the run, as `cutline train` leaves it
OUT/NAME-SEED.log    what it said
OUT/NAME-SEED.json   what came of it: written last, so its scores mean that the run is done

What is done is not done again, and a run that was killed goes on.
"""

import argparse
import fcntl
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, get_args

import yaml

from cutline.captioner import Captioner, load
from cutline.captioner.folder import WEIGHTS
from cutline.config import DecoderConfig, find_recipe, read_recipe
from cutline.errors import CutlineError, UsageError, did_you_mean
from cutline.files import write_text
from cutline.models.header import read_header

__all__ = ["Contest", "Kept", "Plan", "arguments", "decoders", "finish_all", "plans"]

ONE_AT_A_TIME = Lock()  # evaluation, which happens in this process

Kept = dict[str, Any]


class Contest(NamedTuple):
    """A comparison: whose recipes, the changes that make their budgets equal, and who judges.

    `judge` is given a plan and the trained captioner, and returns facts for JSON, `scores` among
    them; `tell` says them in a line.
    """

    name: str
    budget: Callable[[str], tuple[str, ...]]
    judge: Callable[["Plan", Captioner], Kept]
    tell: Callable[[Kept], str]


class Plan(NamedTuple):
    """One captioner, one seed. `places` are changes to the recipe that say where things lie."""

    contest: Contest
    decoder: str
    seed: int
    out: Path
    changes: tuple[str, ...] = ()
    images: int | None = None
    jobs: int = 1
    places: tuple[str, ...] = ()

    def beside(self, suffix: str) -> Path:
        """Return the run's folder, or with a suffix a file beside it."""
        return self.out / f"{self.decoder}-{self.seed}{suffix}"

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return find_recipe(f"{self.contest.name}/{self.decoder}")

    @property
    def words(self) -> list[str]:
        """What changes the recipe."""
        budget = self.contest.budget(self.decoder)
        return [*budget, *self.changes, *self.places, f"seed={self.seed}"]

    @property
    def digest(self) -> str:
        """Tell recipes apart, by what they say and not by what their comments do."""
        recipe = yaml.safe_load(self.recipe.read_text(encoding="utf-8"))
        said = [recipe, self.contest.budget(self.decoder), self.changes]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def decoders() -> list[str]:
    """Return the decoders' names, as SPEC.md orders them."""
    return [config.model_fields["name"].default for config in get_args(get_args(DecoderConfig)[0])]


# --- one run


def finish(plan: Plan) -> tuple[Kept, bool]:
    """Train and evaluate, or what is left of it; say whether all had been done before."""
    kept = _kept(plan)
    if "scores" in kept and kept["images_asked"] == plan.images:
        return kept, True
    if "seconds" not in kept:
        kept = {"digest": plan.digest, "jobs": plan.jobs, "seconds": train(plan)}
        _keep(plan, kept)
    with ONE_AT_A_TIME:
        kept |= _judged(plan)
    _keep(plan, kept)
    return kept, False


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


def _judged(plan: Plan) -> Kept:
    best = plan.beside("") / "best"
    captioner = load(best, threads=1 if plan.jobs > 1 else None)
    weights = read_header(best / WEIGHTS).items()
    facts = captioner.config.provenance
    return {
        "decoder": plan.decoder,
        "seed": plan.seed,
        "images_asked": plan.images,
        "parameters": sum(math.prod(w.shape) for name, w in weights if name.startswith("decoder.")),
        "best_epoch": int(facts["epochs"]),
        "machine": facts["machine"],
        **plan.contest.judge(plan, captioner),
    }


def _only_one(file: int, plan: Plan) -> None:
    """Hold the log. Training inherits the hold, so it outlives this process when that is killed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{plan.beside('')} is being trained by another process; wait for it, or stop it."
        ) from None


def _kept(plan: Plan) -> Kept:
    path = plan.beside(".json")
    if not path.is_file():
        return {}
    kept: Kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["digest"] != plan.digest:
        raise UsageError(
            f"{path} is of another recipe; give another --out, or remove it and its folder."
        )
    return kept


def _keep(plan: Plan, kept: Kept) -> None:
    write_text(plan.beside(".json"), json.dumps(kept, indent=1) + "\n", overwrite=True)


# --- all of them


def finish_all(plans: list[Plan]) -> Iterator[Kept]:
    """Finish the plans, as many at a time as they say; a fault is told, and the rest is done."""
    with ThreadPoolExecutor(plans[0].jobs) as pool:
        waiting = {pool.submit(finish, plan): plan for plan in plans}
        try:
            for number, future in enumerate(as_completed(waiting), start=1):
                plan = waiting[future]
                name = f"[{number}/{len(plans)}] {plan.decoder}, seed {plan.seed}"
                try:
                    kept, before = future.result()
                except (CutlineError, OSError, ValueError) as error:
                    print(f"{name}: {error}", flush=True)
                    continue
                said = plan.contest.tell(kept) + (" (done before)" if before else "")
                print(f"{name}: {said}", flush=True)
                yield kept
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def plans(
    contest: Contest, given: argparse.Namespace, *, places: tuple[str, ...] = ()
) -> list[Plan]:
    """Make a plan of each decoder and seed; what is mistyped is told before anything is trained."""
    for name in given.decoders:
        if name not in decoders():
            raise UsageError(f"There is no decoder '{name}'; {did_you_mean(name, decoders())}.")
    made = [
        Plan(contest, name, seed, given.out, tuple(given.changes), given.images, given.jobs, places)
        for seed in given.seeds
        for name in given.decoders
    ]
    for plan in made:
        read_recipe(plan.recipe, plan.words)
    return made


def arguments(parser: argparse.ArgumentParser, *, out: str, only: list[str] | None = None) -> None:
    """Add what every comparison takes; `only` for one about certain decoders."""
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes to all recipes")
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3], help="default: 1,2,3")
    if only:
        parser.set_defaults(decoders=only)
    else:
        parser.add_argument(
            "--decoders", type=lambda text: text.split(","), default=decoders(), help="default: all"
        )
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: 1")
    parser.add_argument("--images", type=int, help="evaluate on so many images only")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
