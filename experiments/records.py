"""What is kept of trained captioners, whatever was measured of them, and the pages that show it."""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from cutline.files import write_text
from experiments.runs import Contest, Plan, decoders

__all__ = ["Record", "in_order", "keep", "merge", "read_records", "write_between", "write_records"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One captioner, one seed.

    `seconds` of training are unknown where a run was killed and resumed; `jobs` ran beside each
    other; `digest` tells the recipe.
    """

    decoder: str
    seed: int
    images: int
    parameters: int
    best_epoch: int
    seconds: float | None
    jobs: int
    machine: str
    digest: str

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """Read one back; what is kept beside is left out."""
        return cls(**{field.name: kept[field.name] for field in fields(cls)})

    @property
    def took(self) -> str:
        """How long training took, in words."""
        return "resumed" if self.seconds is None else f"{self.seconds:.0f} s"


R = TypeVar("R", bound=Record)


def read_records(kind: type[R], path: Path) -> list[R]:
    """Read the records of a file; of one that does not exist, none."""
    if not path.is_file():
        return []
    return [kind.of(run) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records in the order of the table."""
    runs = [asdict(record) for record in in_order(records)]
    write_text(path, json.dumps({"runs": runs}, indent=1) + "\n", overwrite=True)


def merge(old: Iterable[R], new: Iterable[R], digests: Mapping[str, str]) -> list[R]:
    """Put new runs in the place of old ones; leave out those of recipes that have changed."""
    runs = {(run.decoder, run.seed): run for run in [*old, *new]}
    return in_order(run for run in runs.values() if digests.get(run.decoder) == run.digest)


def keep(
    contest: Contest,
    given: argparse.Namespace,
    new: list[R],
    path: Path,
    write_page: Callable[[list[R]], None],
) -> None:
    """Write new runs: of unchanged recipes into `path` and the page, of others into OUT."""
    if given.changes or given.images:
        write_records(given.out / path.name, new)
        print(f"{given.out / path.name} is written; the page is of unchanged recipes only")
        return
    current = {name: Plan(contest, name, 0, Path()).digest for name in decoders()}
    kept = merge(read_records(type(new[0]), path), new, current)
    write_records(path, kept)
    write_page(kept)


def in_order(records: Iterable[R]) -> list[R]:
    """Sort by decoder, as SPEC.md orders them, then by seed."""
    return sorted(records, key=lambda run: (decoders().index(run.decoder), run.seed))


def write_between(page: Path, begin: str, end: str, content: str) -> None:
    """Write what stands between two marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    write_text(page, f"{before}{begin}\n\n{content}\n\n{end}{after}", overwrite=True)
