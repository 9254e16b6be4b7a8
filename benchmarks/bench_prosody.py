"""extract-prosody with one and two processes, and a plain parselmouth loop.

    python benchmarks/bench_prosody.py [-C WORKDIR --set SET] [--rounds 3]

Praat starts several threads inside one process, so "one process" is measured twice: free to
use them, and bound to one CPU. Rounds alternate, and the fastest of each counts.
Without -C it generates demo speech.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOOP = """
import sys
import numpy as np, parselmouth, soundfile
for line in open(sys.argv[1]):
    samples, rate = soundfile.read(line.rstrip())
    pitch = parselmouth.Sound(samples, rate).to_pitch_ac(pitch_floor=75, pitch_ceiling=600)
    f0 = pitch.selected_array["frequency"]
    np.median(f0[f0 > 0]) if (f0 > 0).any() else None
    (f0 > 0).mean(), np.mean(samples**2)
"""


def command(root: Path, name: str, jobs: int) -> list[str]:
    words = ["extract-prosody", "-C", str(root), "--set", name, "--name", "bench", "-j", str(jobs)]
    return [sys.executable, "-m", "speechkit", *words]


def timed(words: list[str], root: Path, name: str, cpus: set[int] | None) -> float:
    shutil.rmtree(root / f"exp/prosody/{name}-bench", ignore_errors=True)
    bind = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    started = time.perf_counter()
    subprocess.run(words, check=True, preexec_fn=bind, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-C", dest="dir", type=Path, help="working directory")
    parser.add_argument("--set", default="train")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = args.dir or Path(scratch)
        if args.dir is None:
            words = ["prepare", "demo", "-C", scratch, "--utterances", "900"]
            subprocess.run([sys.executable, "-m", "speechkit", *words], check=True)
        from speechkit.kaldi import data
        from speechkit.workdir import WorkDir

        work = WorkDir(root)
        paths = [u.wav for u in data.load(work.data(args.set), work.root).utterances]
        listing = Path(scratch) / "list"
        listing.write_text("".join(f"{Path(p).absolute()}\n" for p in paths))
        one_cpu = {min(os.sched_getaffinity(0))}
        loop = [sys.executable, "-c", LOOP, str(listing)]
        runs = {
            "one process on one CPU": (command(root, args.set, 1), one_cpu),
            "plain parselmouth loop on one CPU": (loop, one_cpu),
            "plain parselmouth loop, Praat's own threads": (loop, None),
            "one process (-j 1), Praat's own threads": (command(root, args.set, 1), None),
            "two processes (-j 2)": (command(root, args.set, 2), None),
        }
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(args.rounds):
            for name, (words, cpus) in runs.items():
                best[name] = min(best[name], timed(words, root, args.set, cpus))
        first, *_ = runs
        print(f"{len(paths)} utterances, {os.cpu_count()} CPUs; whole commands\n")
        print("| | seconds | ratio |\n|---|---|---|")
        for name, seconds in best.items():
            print(f"| {name} | {seconds:.1f} | {best[first] / seconds:.2f} |")
        shutil.rmtree(root / f"exp/prosody/{args.set}-bench", ignore_errors=True)


if __name__ == "__main__":
    main()
