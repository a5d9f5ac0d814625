"""Captioning on Ray beside plain captioning: photographs a second, processor time, memory.

python -m benchmarks.batch PHOTOGRAPHS [--count 600] [--size 50] [--rounds 3] [--out FILE.json]

In turns: a captioner in this process, Ray with one worker, Ray with two; one thread each. Ray's
rate is that of all shards but each worker's first, so that its start, which is given apart, does
not count; processor time does not depend on what else the machine does, but for its caches.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from benchmarks.serve import computed, resident
from cutline.batch import BatchRun, Captions, usable_model
from cutline.captioner import Captioner, load
from cutline.files import write_text

Figures = dict[str, float]


def plain(captioner: Captioner, paths: list[str]) -> Figures:
    """Caption in this process."""
    began, computed_before = time.perf_counter(), time.process_time()
    rows = captioner.caption_each(
        paths, captioner.square, captioner.search(), name=str, failed=lambda *_: None
    )
    count = sum(1 for _ in rows)
    seconds = time.perf_counter() - began
    return {
        "photographs_per_second": count / seconds,
        "processor_ms": 1e3 * (time.process_time() - computed_before) / count,
    }


def on_ray(paths: list[str], size: int, workers: int) -> Figures:
    """Caption on the Ray that this process is connected to."""
    with tempfile.TemporaryDirectory() as folder:
        captions = Captions(usable_model(None))
        with BatchRun.open(paths, f"{folder}/out", captions, size=size) as run:
            began = time.perf_counter()
            at, before = [], 0.0
            for number, _ in enumerate(run.shards(workers=workers), start=1):
                at.append(time.perf_counter())
                running = processes()
                if number == workers:
                    before = sum(map(computed, running))
                after = sum(map(computed, running))
                memory = max(map(resident, running))
    steady = (len(at) - workers) * size
    return {
        "photographs_per_second": steady / (at[-1] - at[workers - 1]),
        "processor_ms": 1e3 * (after - before) / steady,
        "memory_mb": memory,
        "first_shard_seconds": at[0] - began,
    }


def processes() -> list[int]:
    """Return our actors' processes (Linux)."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if b"ShardWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure in turns, print medians, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--size", type=int, default=50, help="of a shard")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args(words)
    paths = [str(path.resolve()) for path in sorted(given.photographs.glob("*.jpg"))[: given.count]]
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default: Ray gives way to all else
    import ray

    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    captioner = load(threads=1)
    plain(captioner, paths[:32])
    figures: dict[str, list[Figures]] = defaultdict(list)
    for _ in range(given.rounds):
        figures["plain"].append(plain(captioner, paths))
        figures["ray_1"].append(on_ray(paths, given.size, 1))
        figures["ray_2"].append(on_ray(paths, given.size, 2))
    ray.shutdown()
    rows: dict[str, Any] = {
        name: {key: round(median(one[key] for one in found), 1) for key in found[0]}
        for name, found in figures.items()
    }
    pace = {name: row["photographs_per_second"] for name, row in rows.items()}
    rows["two_over_one"] = round(pace["ray_2"] / pace["ray_1"], 2)
    rows["ray_over_plain"] = round(pace["ray_1"] / pace["plain"], 2)
    rows["processor_plain_over_ray"] = round(
        rows["plain"]["processor_ms"] / rows["ray_1"]["processor_ms"], 2
    )
    facts = {"machine": describe(), "photographs": len(paths), "rounds": given.rounds, **rows}
    print(json.dumps(facts, indent=1))
    if given.out is not None:
        write_text(given.out, json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
