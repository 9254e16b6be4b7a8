"""Training step, loss and loader of separation, against Asteroid and SpeechBrain.

    python benchmarks/bench_separation.py --peer-python PYTHON [-C WORKDIR --set SET]
        [--only step,pit,loader] [--models light,full] [--rounds 5] [--device auto]

PYTHON is that of an environment with Asteroid and SpeechBrain (docs/benchmarks.md); without it
only our own rows are printed. Sides alternate, one process at a time; the first steps of a process,
in which its memory grows, do not count, and the median of all rounds does. Without -C the loader
reads demo speech. The full models need up to 8 GB of memory: leave them the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

WORKER = Path(__file__).with_name("separation_worker.py")
RATE = 8000
BATCHES = {"light": 4, "full": 2}  # of 4 s
WARM_UP = 3  # steps


@dataclass
class Row:
    """One line of a table: the job of one side, and what came of it."""

    python: str
    job: dict
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    facts: dict = field(default_factory=dict)

    def turn(self, repetitions: int) -> None:
        """Do the job in a process of its own."""
        told = f"{json.dumps(self.job)}\n{repetitions}\n"
        done = subprocess.run(
            [self.python, str(WORKER)], input=told, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise SystemExit(f"{self.python} {WORKER} ended with {done.returncode}: {self.job}")
        self.facts, found = (json.loads(line) for line in done.stdout.splitlines())
        self.seconds += found["seconds"]
        self.peak_mib = max(self.peak_mib, found["peak_mib"])


def side_by_side(rows: dict[str, Row], rounds: int, repetitions: int) -> dict[str, Row]:
    """Rows take turns, one at a time: several models at once would not fit into memory."""
    for _ in range(rounds):
        for row in rows.values():
            row.turn(repetitions)
    return rows


def print_rows(rows: dict[str, Row], value: str) -> None:
    """A table: milliseconds, how many times faster than each peer, peak memory."""
    typical = {name: statistics.median(row.seconds) for name, row in rows.items()}
    peers = [name for name in ("Asteroid", "SpeechBrain") if name in rows]
    print("| | ms | " + "".join(f"times {peer} | " for peer in peers) + f"{value} | peak MiB |")
    print("|---" * (4 + len(peers)) + "|")
    for name, row in rows.items():
        ratios = "".join(f"{typical[peer] / typical[name]:.2f} | " for peer in peers)
        fact = row.facts.get("parameters", row.facts["value"])
        shown = f"{fact:,}" if isinstance(fact, int) else f"{fact:.4f}"
        print(f"| {name} | {1e3 * typical[name]:.4g} | {ratios}{shown} | {row.peak_mib:.0f} |")
    print(flush=True)


def step_rows(args: argparse.Namespace, size: str) -> dict[str, Row]:
    from speechkit.separation.config import SIZES

    model = asdict(SIZES[size])
    base = {"kind": "step", "device": args.device, "batch": BATCHES[size], "samples": 4 * RATE}
    base["warm_up"] = WARM_UP

    def row(side: str, precision: str = "fp32", **more) -> Row:
        python = sys.executable if side == "speechkit" else args.peer_python
        job = {**base, "side": side, "precision": precision, "model": model, **more}
        return Row(python, job)

    rows = {}
    if args.peer_python:
        rows = {"Asteroid": row("asteroid"), "SpeechBrain": row("speechbrain")}
    rows["speechkit"] = row("speechkit")
    like_speechbrain = {**model, "skip": 0, "input_norm": "chLN", "encoder_relu": True}
    rows["speechkit without skip path"] = row("speechkit", model=like_speechbrain)
    rows["speechkit, bf16"] = row("speechkit", "bf16")
    if args.device == "cuda":
        rows["speechkit, compiled"] = row("speechkit", compile=True)
        rows["speechkit, bf16, compiled"] = row("speechkit", "bf16", compile=True)
        if args.peer_python:
            rows["Asteroid, bf16"] = row("asteroid", "bf16")
            rows["SpeechBrain, bf16"] = row("speechbrain", "bf16")
    return rows


def bench_step(args: argparse.Namespace) -> None:
    for size in args.models.split(","):
        print(f"## Training step, {size}, batch {BATCHES[size]} of 4 s at 8 kHz, {args.device}\n")
        rows = side_by_side(step_rows(args, size), args.rounds, 1 if args.quick else 3)
        print_rows(rows, "parameters")


def bench_pit(args: argparse.Namespace) -> None:
    for sources in (2, 3):
        job = {"kind": "pit", "device": args.device, "warm_up": 3}
        job |= {"batch": 16, "sources": sources, "samples": 4 * RATE}
        rows = {}
        if args.peer_python:
            rows["Asteroid"] = Row(args.peer_python, {**job, "side": "asteroid"})
            rows["SpeechBrain"] = Row(args.peer_python, {**job, "side": "speechbrain"})
        rows["speechkit"] = Row(sys.executable, {**job, "side": "speechkit"})
        print(f"## PIT SI-SNR, forward and backward, 16 x {sources} x 32000, {args.device}\n")
        print_rows(side_by_side(rows, args.rounds, 2 if args.quick else 10), "loss, dB")


def bench_loader(args: argparse.Namespace) -> None:
    """Batches of dynamic mixing per second, beside the steps that they have to feed."""
    from speechkit.kaldi import data
    from speechkit.separation.config import MixingConfig
    from speechkit.separation.data import DynamicMixing
    from speechkit.training.batches import durations
    from speechkit.workdir import WorkDir

    rows = step_rows(args, "light")
    fastest = "speechkit, bf16, compiled" if args.device == "cuda" else "speechkit, bf16"
    steps = side_by_side({k: rows[k] for k in ("speechkit", fastest)}, args.rounds, 1)
    rates = {name: 1 / statistics.median(row.seconds) for name, row in steps.items()}
    with tempfile.TemporaryDirectory() as scratch:
        root = args.dir or Path(scratch)
        if args.dir is None:
            words = ["prepare", "demo", "-C", scratch, "--utterances", "200"]
            subprocess.run([sys.executable, "-m", "speechkit", *words], check=True)
        work = WorkDir(root)
        dataset = data.load(work.data(args.set), work.root)
        seconds = durations(dataset.utterances)
        mixing = DynamicMixing(dataset.utterances, seconds, MixingConfig(RATE), seed=0)
        print(f"## Dynamic mixing, light model, batch 4 of 4 s, {args.device}\n")
        print("| | batches/s | times the step | times the bf16 step |\n|---|---|---|---|")
        for name, rate in rates.items():
            ratios = [f"{rate / other:.2f}" for other in rates.values()]
            print(f"| step: {name} | {rate:.2f} | {' | '.join(ratios)} |")
        for workers in (0, 1, 2):
            rate = batches_per_second(mixing, workers, 20 if args.quick else 200)
            ratios = [f"{rate / other:.1f}" for other in rates.values()]
            name = f"loader alone, {workers} workers" if workers else "loader in the main process"
            print(f"| {name} | {rate:.1f} | {' | '.join(ratios)} |")
        print(flush=True)


def batches_per_second(mixing, workers: int, batches: int) -> float:
    """Of a loader that nothing waits for; the first batches, with the start-up, do not count."""
    from torch.utils.data import DataLoader

    from speechkit.separation.data import collate
    from speechkit.training.batches import ResumableBatches

    start = 4 * max(1, workers)
    epochs = 1 + 4 * (batches + start) // len(mixing) + 1
    order = ResumableBatches(len(mixing), 4, epochs, seed=0)
    loader = iter(DataLoader(mixing, batch_sampler=order, num_workers=workers, collate_fn=collate))
    for _ in islice(loader, start):
        pass
    started = time.perf_counter()
    count = sum(1 for _ in islice(loader, batches))
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default="", help="Python with Asteroid and SpeechBrain")
    parser.add_argument("-C", dest="dir", type=Path, help="working directory")
    parser.add_argument("--set", default="train")
    parser.add_argument("--only", default="step,pit,loader")
    parser.add_argument("--models", default="light,full")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="few repetitions, to see that it runs")
    args = parser.parse_args()
    import torch

    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"{os.cpu_count()} CPUs"
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {where}\n", flush=True)
    benches = {"step": bench_step, "pit": bench_pit, "loader": bench_loader}
    for name in args.only.split(","):
        benches[name](args)


if __name__ == "__main__":
    main()
