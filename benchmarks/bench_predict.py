"""Scoring recordings with two or more models, in turn, each in a process of its own.

    python benchmarks/bench_predict.py TABLE MODEL MODEL ... [--rounds 4]

TABLE has lines `path<TAB>text`; a MODEL is what `speechkit.load` takes (`default` is the one that
comes with the package). One thread; the model is loaded and has scored three recordings before the
time runs. Printed is the processor time divided by the length of the audio, and the ratio to the
first model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path


def factor(table: Path, model: str) -> float:
    """Real-time factor of a model, in this process."""
    import soundfile
    import torch

    import speechkit

    torch.set_num_threads(1)
    scorer = speechkit.load("pronunciation", model)
    lines = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    read = [(*soundfile.read(path, dtype="float32"), text) for path, text in lines]
    for samples, rate, text in read[:3]:
        scorer.score(samples, rate, text)
    started = time.process_time()
    for samples, rate, text in read:
        scorer.score(samples, rate, text)
    return (time.process_time() - started) / sum(len(samples) / rate for samples, rate, _ in read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    if len(args.models) == 1:  # a process of one measurement
        print(factor(args.table, args.models[0]))
        return
    print("\t".join(args.models))
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(args.rounds):
        row = []
        for model in args.models:
            words = [sys.executable, __file__, str(args.table), model]
            done = subprocess.run(words, env=alone, stdout=subprocess.PIPE, text=True, check=True)
            row.append(float(done.stdout))
        print("\t".join(f"{value:.4f} ({value / row[0]:.2f})" for value in row), flush=True)


if __name__ == "__main__":
    main()
