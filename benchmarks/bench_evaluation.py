"""Evaluation of 100 mixtures: the stage against a plain loop with torchmetrics.

    python benchmarks/bench_evaluation.py [--model light] [--count 100] [--rounds 3]

Both separate every mixture with the same network and measure SI-SNRi and SDRi of the best
permutation. The loop is what one writes first: read, separate, metric by metric. The stage is
called as a command, with its start, its checks and everything that it writes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def call(*words: object) -> float:
    """Seconds of a speechkit command."""
    command = [sys.executable, "-m", "speechkit", *map(str, words)]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def make_model(root: Path, size: str) -> None:
    import torch

    from speechkit.separation import model_folder
    from speechkit.separation.config import SIZES
    from speechkit.separation.conv_tasnet import ConvTasNet

    torch.manual_seed(0)
    net = ConvTasNet(SIZES[size])
    folder = root / "exp/separation/bench/seed0"
    folder.mkdir(parents=True)
    weights = dict.fromkeys(model_folder.FILES, net.state_dict())
    model_folder.write(folder, SIZES[size], 8000, "plain", {}, weights, [])


PLAIN = """
import sys, time
started = time.perf_counter()
from pathlib import Path
import torch
from torchmetrics.functional.audio import permutation_invariant_training as pit
from torchmetrics.functional.audio import pit_permutate as permutate
from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio as si_snr
from torchmetrics.functional.audio import signal_distortion_ratio as sdr
from speechkit.separation import model_folder
from speechkit.labels.mixtures import load_mixtures
root = Path(sys.argv[1])
model = model_folder.load(root / "exp/separation/bench/seed0")
mixtures = load_mixtures(root / "data/test_2mix", root)
found = []
for mixture in mixtures.mixtures:
    mixed, sources = map(torch.from_numpy, mixtures.read(mixture))
    estimates = model.separate(mixed[None])
    best, order = pit(estimates, sources[None], si_snr)
    before = mixed[None, None].expand(1, len(sources), -1)
    gain = best - si_snr(before, sources[None]).mean()
    distortion = sdr(permutate(estimates, order), sources[None]) - sdr(before, sources[None])
    found.append((float(gain), float(distortion.mean())))
print(sum(g for g, _ in found) / len(found), sum(d for _, d in found) / len(found))
"""


def plain(root: Path) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PLAIN, str(root)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started, done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="light")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        call("prepare", "demo", "-C", root, "--utterances", 200)
        call("mix", "-C", root, "--set", "test", "--count", args.count)
        make_model(root, args.model)
        seconds: dict[str, list[float]] = {"plain loop": [], "stage": [], "stage, -j 2": []}
        for _ in range(args.rounds):
            taken, means = plain(root)
            seconds["plain loop"].append(taken)
            for name, jobs in (("stage", 1), ("stage, -j 2", 2)):
                words = ["evaluate", "separation", "-C", root, "--name", "bench"]
                seconds[name].append(call(*words, "--set", "test_2mix", "-j", jobs, "--force"))
    base = statistics.median(seconds["plain loop"])
    print(f"## Evaluation of {args.count} mixtures, {args.model} model (means {means})\n")
    print("| | s | times the plain loop |\n|---|---|---|")
    for name, taken in seconds.items():
        print(
            f"| {name} | {statistics.median(taken):.3g} | {base / statistics.median(taken):.2f} |"
        )


if __name__ == "__main__":
    main()
