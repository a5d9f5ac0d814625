"""A service under load: 64 clients that send good, bad and huge pictures, all at once.

python -m benchmarks.serve PHOTOGRAPHS [--clients 64] [--seconds 60] [--threads N] [--out FILE.json]

First one client sends good pictures, one after the other; then all clients do, which is the
comparison; then all send everything mixed. Client and service share the machine. Exits with 1
where an answer was a 5xx other than 503 with Retry-After.
"""

import argparse
import asyncio
import io
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.machine import describe
from cutline.files import write_text


@dataclass
class Load:
    """What a load gave: seconds of good answers, statuses, faults, megabytes each second.

    `processor` is the seconds that the service computed, on all cores together: what else runs on
    the machine does not change it.
    """

    seconds: float = 0.0
    processor: float = 0.0
    good: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return its figures, in seconds and megabytes."""
        times = np.array(self.good or [np.nan])
        half = len(self.memory) // 2
        return {
            "captions_per_second": round(len(self.good) / self.seconds, 1),
            "processor_ms_per_caption": round(1e3 * self.processor / max(1, len(self.good)), 1),
            "p50": round(float(np.percentile(times, 50)), 3),
            "p99": round(float(np.percentile(times, 99)), 3),
            "statuses": dict(sorted(self.statuses.items())),
            "faults": self.faults[:5],
            "memory_first_half": round(max(self.memory[:half] or [0])),
            "memory_second_half": round(max(self.memory[half:] or [0])),
        }


@contextmanager
def service(words: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """Start a service; yield its address, its process and the seconds until it listened."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "cutline", "serve", "--port", "0", "--quiet", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"captions at (http\S+)/", process.stderr.readline())
        assert found is not None
        yield found[1], process.pid, time.perf_counter() - started
        process.terminate()


def resident(process: int) -> float:
    """Return the megabytes of memory that a process has now (Linux)."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1e3


def computed(process: int) -> float:
    """Return the seconds that a process has computed (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mixture(good: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield bodies without end: eight of ten good, one bad, one huge (in bytes or in pixels)."""
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    bad = [b"no picture", good[0][:300], b""]
    huge = [bytes(40_000_000), bomb.getvalue()]
    for number in count():
        turn = number % 10
        if turn == 3:
            yield "bad", bad[number // 10 % len(bad)]
        elif turn == 7:
            yield "huge", huge[number // 10 % len(huge)]
        else:
            yield "good", good[number % len(good)]


async def put(url: str, bodies: Iterator[tuple[str, bytes]], clients: int, length: float) -> Load:
    """Let clients send bodies for so many seconds."""
    load, end = Load(), time.perf_counter() + length
    limits = httpx.Limits(max_connections=clients)

    async def client(http: httpx.AsyncClient) -> None:
        while time.perf_counter() < end:
            kind, body = next(bodies)
            began = time.perf_counter()
            try:
                answer = await http.post("/v1/captions", files={"image": body})
            except httpx.TransportError as error:
                load.statuses[0] += 1
                if kind != "huge":  # its sender may be cut off
                    load.faults.append(f"{kind}: {type(error).__name__}")
                continue
            _count(load, kind, answer, time.perf_counter() - began)
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


def _count(load: Load, kind: str, answer: httpx.Response, seconds: float) -> None:
    load.statuses[answer.status_code] += 1
    expected = {"good": (200,), "bad": (422,), "huge": (413,)}[kind]
    busy = answer.status_code == 503 and "retry-after" in answer.headers
    if answer.status_code == 200:
        load.good.append(seconds)
    if answer.status_code not in expected and not busy:
        load.faults.append(f"{kind}: {answer.status_code} {answer.text[:100]}")


async def watched(load: Any, process: int) -> Load:
    """Return what a load gave, with what the service computed, and its memory each second."""
    task, memory, before = asyncio.ensure_future(load), [], computed(process)
    while not task.done():
        memory.append(resident(process))
        await asyncio.wait([task], timeout=1)
    found: Load = task.result()
    found.memory, found.processor = memory, computed(process) - before
    return found


async def measure(url: str, process: int, given: argparse.Namespace) -> dict[str, Any]:
    """Measure one at a time, all at once, and everything mixed."""
    paths = sorted(given.photographs.glob("*.jpg"))[:200]
    good = [path.read_bytes() for path in paths]

    def only_good() -> Iterator[tuple[str, bytes]]:
        return (("good", good[number % len(good)]) for number in count())

    third = given.seconds / 3
    await put(url, only_good(), 1, 2)  # warm
    found = {}
    for name, bodies, clients, seconds in (
        ("one at a time", only_good(), 1, third),
        ("all at once", only_good(), given.clients, third),
        ("mixed", mixture(good), given.clients, given.seconds),
    ):
        load = await watched(put(url, bodies, clients, seconds), process)
        found[name] = load.summary()
        print(name, json.dumps(found[name]), flush=True)
    return found


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("photographs", type=Path, help="a folder of .jpg files")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    words = [] if given.threads is None else ["--threads", str(given.threads)]
    with service(words) as (url, process, ready):
        print(f"ready after {ready:.2f} s; the machine's load is {os.getloadavg()[0]:.1f}")
        found = asyncio.run(measure(url, process, given))
    alone, together = found["one at a time"], found["all at once"]
    ratio = together["captions_per_second"] / alone["captions_per_second"]
    less = alone["processor_ms_per_caption"] / together["processor_ms_per_caption"]
    print(f"all at once / one at a time: {ratio:.2f}; by the processor's time: {less:.2f}")
    if given.out is not None:
        facts = {
            "machine": describe(),
            "ready": ready,
            "ratio": ratio,
            "by_processor": less,
            **found,
        }
        write_text(given.out, json.dumps(facts, indent=1))
    return 1 if any(one["faults"] for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
