"""Hard-pair mining without an executor, with one and with two Dask workers: side by side.

Random vectors of many speakers, thresholds alone (as a million utterances would be mined). One
thread a worker, settings in turn, medians over the rounds. On a machine that others use too look at
the seconds of CPU: those of the workers are all that grows with the square of the utterances.

    python benchmarks/bench_cluster.py [--vectors 20000] [--dim 512] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench_mining import make, row
from threadpoolctl import threadpool_limits

from speechkit.mining.block_search import LEAST_ROWS

MILLION = 1_000_000
CORES = sorted(os.sched_getaffinity(0))
HERE = "without, one core"
SETTINGS = {HERE: 0, f"without, {len(CORES)} cores": 0, "1 worker": 1, "2 workers": 2}


@contextmanager
def workers(count: int) -> Iterator[tuple[str, object]]:
    """The executor of a cluster on this machine, and its client; for 0 this process alone."""
    if not count:
        yield "local", None
        return
    from distributed import Client, LocalCluster

    shape = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**shape, protocol="tcp") as cluster, Client(cluster) as client:
        client.run(import_module, "speechkit.mining.shared_problem")  # is not measured
        yield "dask://" + cluster.scheduler_address.removeprefix("tcp://"), client


def measure(root: Path, name: str, executor: str, client: Any) -> dict[str, float]:
    """Seconds of the whole stage, and of CPU: of the workers, and of this process."""
    from speechkit.mining.config import MiningConfig
    from speechkit.mining.mine import mine
    from speechkit.workdir import WorkDir

    def of_workers() -> float:
        return sum(client.run(time.process_time).values()) if client else 0.0

    config = MiningConfig("xvector", 0.04, store="thresholds")
    before, own, started = of_workers(), time.process_time(), time.perf_counter()
    mine(WorkDir(root), config, name, device="cpu", executor=executor, force=True)
    seconds, own = time.perf_counter() - started, time.process_time() - own
    return {"seconds": seconds, "workers": of_workers() - before, "here": own}


def same(root: Path, first: str, second: str) -> bool:
    """Whether two outputs have the same files to the byte, but for times."""

    def files(name: str) -> dict[str, bytes]:
        folder = next((root / "exp" / "hard").glob(f"*-{name}"))
        named = [p for p in folder.iterdir() if p.is_file() and p.name != "manifest.json"]
        return {path.name: path.read_bytes() for path in named}

    return files(first) == files(second)


def multiplications(rows: int, columns: int, dim: int) -> float:
    """Multiply-adds a second of one core, in a block of float32 scores."""
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((n, dim), dtype=np.float32) for n in (rows, columns))
    best = np.inf
    for _ in range(5):
        started = time.thread_time()
        left @ right.T
        best = min(best, time.thread_time() - started)
    return rows * columns * dim / best


def run(root: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of each setting."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, count in SETTINGS.items():
            with workers(count) as (executor, client):
                os.sched_setaffinity(0, {CORES[-1]} if name == HERE else CORES)
                made = measure(root, f"with{count}", executor, client)
                os.sched_setaffinity(0, CORES)
            found.setdefault(name, []).append(made)
    return {
        name: {key: median(one[key] for one in each) for key in each[0]}
        for name, each in found.items()
    }


def extrapolate(cpu: dict[str, float], given: argparse.Namespace) -> None:
    """Hours of a million utterances from seconds of CPU of one run.

    All grows with the square of the utterances; but the blocks of a million have few rows, and
    products of few rows are slower.
    """
    fast = multiplications(400, given.vectors, given.dim)
    slow = multiplications(LEAST_ROWS, 10 * given.vectors, given.dim)
    print(
        f"\n1e9 multiply-adds a second: {fast / 1e9:.0f}, in rows of {LEAST_ROWS} {slow / 1e9:.0f}"
    )
    print(f"hours of {MILLION:,} x {given.dim} on 1, 16, 128 such cores")
    work = given.vectors**2 * given.dim
    for name, seconds in {"products alone": work / fast, **cpu}.items():
        all_of_it = (seconds + work / slow - work / fast) * (MILLION / given.vectors) ** 2 / 3600
        print(f"{name}: {', '.join(f'{all_of_it / cores:.2f}' for cores in (1, 16, 128))}")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--speakers", type=int, default=400)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{len(CORES)} cores; load before: {os.getloadavg()[0]:.1f}\n")
    row("mine-hard", "seconds", "ratio", "CPU s of workers", "CPU s here", "ratio of all CPU s")
    row(*["---"] * 6)
    # Products of one thread here too; workers have one by Dask's own setting.
    with (
        threadpool_limits(1),
        tempfile.TemporaryDirectory() as whole,
        tempfile.TemporaryDirectory() as half,
    ):
        make(Path(whole), given.vectors, given.speakers, given.dim)
        make(Path(half), given.vectors // 2, given.speakers, given.dim)
        measure(Path(half), "first", "local", None)  # loads libraries
        found = run(Path(whole), given.rounds)
        base = found[HERE]
        for name, one in found.items():
            cpu, ratio = one["workers"] + one["here"], base["seconds"] / one["seconds"]
            times = [f"{one[key]:.1f}" for key in ("seconds", "workers", "here")]
            row(name, times[0], f"{ratio:.2f}", *times[1:], f"{cpu / base['here']:.2f}")
        print("\nsame files with 2 workers:", same(Path(whole), "with0", "with2"))
        with workers(1) as (executor, client):
            halves = [measure(Path(half), "half", executor, client) for _ in range(given.rounds)]
        blocks = median(one["workers"] for one in halves)
        of_one = found["1 worker"]["workers"]
        print(f"CPU of workers, {given.vectors:,} : {given.vectors // 2:,}: {of_one / blocks:.2f}")
        extrapolate({"from the CPU without": base["here"], "from that of a worker": of_one}, given)


if __name__ == "__main__":
    main()
