"""Losses of two trainings side by side, for gpu.sh: the largest relative difference of an epoch.

    python benchmarks/gpu_compare.py WORKDIR TASK NAME_A NAME_B

Devices add up in another order, so that float32 losses differ by some 1e-6 at the first step and
more with every further one: up to 2 percent is called equal. A run that was killed and taken up
should give the same numbers on one device, but for what CUDA adds up in no fixed order.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

FOLDERS = {"xvector": "xvector_nnet"}
EQUAL = 0.02


def losses(root: Path, task: str, name: str) -> dict[str, list[float]]:
    """Column of losses -> value of each epoch."""
    folder = root / "exp" / FOLDERS.get(task, task) / name
    (path, *_) = sorted(folder.rglob("log.tsv"))
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    names = [column for column in rows[0] if "loss" in column]
    return {column: [float(row[column]) for row in rows if row[column]] for column in names}


def difference(first: list[float], second: list[float]) -> float:
    """Largest relative difference; inf where the lengths differ or a value is not finite."""
    if len(first) != len(second) or not all(map(math.isfinite, (*first, *second))):
        return math.inf
    pairs = zip(first, second, strict=True)
    return max((abs(a - b) / max(abs(a), abs(b), 1e-9) for a, b in pairs), default=math.inf)


def main() -> None:
    root, task, *names = sys.argv[1:]
    one, other = (losses(Path(root), task, name) for name in names)
    for column in one.keys() & other.keys():
        found = difference(one[column], other[column])
        verdict = "equal" if found == 0 else "equal within 2 %" if found <= EQUAL else "DIFFERENT"
        values = " and ".join(f"{side[column][-1]:.6g}" for side in (one, other))
        print(f"- {task}, {column}: {values} ({names[0]}, {names[1]}): {found:.2g}, {verdict}")


if __name__ == "__main__":
    main()
