"""How fast training goes on cores that others use too, by how OpenMP's threads wait.

    python benchmarks/bench_shared_machine.py [--seconds 4] [--rounds 3] [--threads 0]

After each operation the threads of PyTorch wait for each other (speechkit/__main__.py). The
setting is read when the library is loaded, so each measurement has a process of its own: steps of a
small Conv-TasNet, alone and then beside one busy process on every core, settings in turn. It
prints steps a second (medians over the rounds) and ratios: of each setting to the library's own,
alone; and of what is left beside busy processes to the library's own alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from speechkit.__main__ import WAITING

SETTINGS: dict[str, dict[str, str]] = {
    "the library's own": {},
    "speechkit's": dict(WAITING),
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    **{f"GOMP_SPINCOUNT={n}": {"GOMP_SPINCOUNT": str(n)} for n in (10_000, 30_000, 100_000)},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


def steps_a_second(seconds: float) -> float:
    """Of training, in this process."""
    import torch

    from speechkit.separation.config import SIZES
    from speechkit.separation.conv_tasnet import ConvTasNet
    from speechkit.separation.loss import SISNRLoss

    torch.manual_seed(0)
    network, loss = ConvTasNet(SIZES["tiny"]), SISNRLoss()
    optimizer = torch.optim.Adam(network.parameters())
    sources = torch.randn(4, 2, 8000)

    def step() -> None:
        optimizer.zero_grad()
        loss(network(sources.sum(1)), sources).mean().backward()
        optimizer.step()

    step()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        count += 1
    return count / (time.perf_counter() - start)


def measure(settings: dict[str, str], given: argparse.Namespace) -> float:
    """Steps a second of a process with these settings."""
    environment = {name: v for name, v in os.environ.items() if name not in NAMES}
    if given.threads:
        environment["OMP_NUM_THREADS"] = str(given.threads)
    command = [sys.executable, __file__, "--seconds", str(given.seconds), "--worker"]
    done = subprocess.run(
        command, env=environment | settings, capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


@contextmanager
def busy(cores: list[int]) -> Iterator[None]:
    """A process on each core that does nothing but use it."""
    code = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    running = [subprocess.Popen([sys.executable, "-c", code, str(core)]) for core in cores]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as cores")
    parser.add_argument("--json", type=Path, help="write all measurements here")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(steps_a_second(given.seconds)))
        return
    cores = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"{len(cores)} cores; load before: {load:.1f}", "" if load < 0.3 else "(not idle)")
    found: dict[str, dict[str, list[float]]] = {
        name: {"alone": [], "busy": []} for name in SETTINGS
    }
    for _ in range(given.rounds):
        for name, settings in SETTINGS.items():
            found[name]["alone"].append(measure(settings, given))
            with busy(cores):
                found[name]["busy"].append(measure(settings, given))
    own = median(found["the library's own"]["alone"])
    print(f"{'':26}{'alone':>8}{'busy':>8}{'alone : own':>13}{'busy : own alone':>18}")
    for name, one in found.items():
        alone, beside = median(one["alone"]), median(one["busy"])
        print(f"{name:26}{alone:8.2f}{beside:8.2f}{alone / own:13.3f}{beside / own:18.3f}")
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
