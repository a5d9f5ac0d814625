"""Check training and captioning on a GPU against the CPU, then measure their speed.

PYTHONPATH=src python -m benchmarks.gpu [--only beam5] [--out FILE.json] [--no-speed]
PYTHONPATH=src python -m benchmarks.gpu --device cpu --quick     the same code, where there is none
python -m benchmarks.gpu --table

Needs the tree, PyTorch, timm and Lightning; no network and no test runner. Figures go to
benchmarks/results/gpu-NAME.json and into docs/performance.md. Exit code 1 when a check fails; where
there is no GPU, every check is listed as skipped, with exit code 0.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the same sums in every run

import torch
from experiments.records import write_between

from benchmarks.gpu.checks import CHECKS
from benchmarks.gpu.speed import Measured, works
from benchmarks.report import PAGE
from cutline.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results"
BEGIN = "<!-- gpu: written by make gpu; do not edit -->"
END = "<!-- /gpu -->"


def check(device: str, absent: str | None) -> int:
    """Run the checks, or name them with the reason why not; return how many failed."""
    failed = 0
    for one in CHECKS:
        name = one.__name__.replace("_", " ")
        if absent:
            print(f"skipped  {name}: {absent}")
            continue
        started = time.perf_counter()
        try:
            found, state = one(device), "passed "
        except Exception as error:
            found, state, failed = f"{type(error).__name__}: {error}", "FAILED ", failed + 1
        print(f"{state}  {name}: {found} ({time.perf_counter() - started:.1f} s)", flush=True)
    return failed


def measure(device: str, only: Sequence[str], *, quick: bool) -> list[Measured]:
    """Measure, printing each row."""
    rows = []
    for row in works(device, quick=quick):
        if only and not row.work.startswith(tuple(only)):
            continue
        rows.append(row)
        ratio = "" if row.ratio is None else f", {row.ratio:.1f} times the tutorials'"
        busy = "" if row.busy is None else f", busy {row.busy:.0%}"
        memory = "" if row.megabytes is None else f", {row.megabytes:.0f} MB"
        print(f"{row.work} {row.dtype}: {row.ours:g} {row.unit}{ratio}{busy}{memory}", flush=True)
    return rows


def table(results: Path = RESULTS) -> str:
    """Return the tables of all GPUs that were measured, in Markdown."""
    parts = []
    for path in sorted(results.glob("gpu-*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        lines = [
            "| work | | tutorials | Cutline | ratio | busy | memory |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in facts["rows"]:
            plain, ratio, busy, memory = (row[k] for k in ("plain", "ratio", "busy", "megabytes"))
            lines.append(
                f"| `{row['work']}` | {row['dtype']} | {'-' if plain is None else f'{plain:g}'} "
                f"| {row['ours']:g} {row['unit']} | {'-' if ratio is None else f'{ratio:.1f}x'} "
                f"| {'-' if busy is None else f'{busy:.0%}'} "
                f"| {'-' if memory is None else f'{memory:.0f} MB'} |"
            )
        about = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
        parts.append("\n".join([*lines, "", f"{facts['date']}; {about}."]))
    return "\n\n".join(parts) or "No GPU has been measured yet; `make gpu` does it."


def describe(device: str) -> dict[str, Any]:
    """Return the device and the versions that matter."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def main(words: Sequence[str] | None = None) -> int:
    """Check, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Check a GPU against the CPU; measure it."
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="default: cuda")
    parser.add_argument("--only", nargs="+", default=[], help="works that begin so")
    parser.add_argument("--quick", action="store_true", help="the smallest of each work, once")
    parser.add_argument("--no-speed", action="store_true", help="check only")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/gpu-NAME.json")
    parser.add_argument("--table", action="store_true", help="write the page; run nothing")
    given = parser.parse_args(words)
    if given.table:
        write_between(PAGE, BEGIN, END, table())
        return 0
    missing = given.device == "cuda" and not torch.cuda.is_available()
    absent = "PyTorch sees no CUDA device here (torch.cuda.is_available() is False)"
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    failed = check(given.device, absent if missing else None)
    if missing or given.no_speed:
        return 1 if failed else 0
    torch.use_deterministic_algorithms(mode=False)
    rows = measure(given.device, given.only, quick=given.quick)
    machine = describe(given.device)
    facts = {
        "machine": machine,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "rows": [row.json() for row in rows],
    }
    named = re.sub(r"[^a-z0-9]+", "-", machine["device"].lower()).strip("-")
    kept = given.device == "cuda" and not (given.quick or given.only)
    out = given.out or (RESULTS / f"gpu-{named}.json" if kept else None)
    if out is not None:
        write_text(out, json.dumps(facts, indent=1) + "\n", overwrite=True)
        print(f"written: {out}")
    if kept and given.out is None:
        write_between(PAGE, BEGIN, END, table())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
