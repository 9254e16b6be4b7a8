"""Scores of every substitution and deletion: shared tables against torch's CTC loss in a loop.

    python benchmarks/bench_ctc_gop.py [--phones 30] [--seconds 4] [--rounds 3]

Posteriors like those of a CTC model of phones (a frame every 20 ms, a peak a phone). The loop
calls ``torch.nn.functional.ctc_loss`` once for every changed sequence; batched, one call a
position scores its 40 changes. Rounds alternate, and the fastest of each counts; all on one
thread, in processor seconds. The results must agree to 1e-4 of their size.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch.nn.functional import ctc_loss

from speechkit.phone_features.sequence_scores import sequence_scores

LABELS = 39


def peaky_posteriors(frames: int, sequence: np.ndarray, seed: int = 0) -> np.ndarray:
    """Log posteriors ``[T, 40]`` with a peak for each phone of a sequence."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.standard_normal((frames, LABELS + 1))
    logits[:, 0] += 8
    places = np.sort(rng.choice(frames, len(sequence), replace=False))
    logits[places, sequence] += 11
    return torch.from_numpy(logits).log_softmax(-1).numpy()


def changed_sequences(sequence: np.ndarray) -> list[list[np.ndarray]]:
    """For each position: the sequence without it, then with each label in its place."""
    found = []
    for place in range(len(sequence)):
        of_place = [np.delete(sequence, place)]
        for label in range(1, LABELS + 1):
            changed = sequence.copy()
            changed[place] = label
            of_place.append(changed)
        found.append(of_place)
    return found


def loss(logs: torch.Tensor, sequences: list[np.ndarray]) -> list[float]:
    """Log-likelihood of each sequence, in one call."""
    count, frames = len(sequences), len(logs)
    found = ctc_loss(
        logs[:, None].expand(-1, count, -1).contiguous(),
        torch.from_numpy(np.concatenate(sequences)),
        torch.full((count,), frames),
        torch.tensor([len(s) for s in sequences]),
        reduction="none",
    )
    return [-float(value) for value in found]


def one_by_one(emissions: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    logs = torch.from_numpy(emissions)
    rows = changed_sequences(sequence)
    return np.array([[loss(logs, [changed])[0] for changed in row] for row in rows])


def batched(emissions: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    logs = torch.from_numpy(emissions)
    return np.array([loss(logs, row) for row in changed_sequences(sequence)])


def shared(emissions: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    scores = sequence_scores(emissions, sequence, "ctc")
    return np.concatenate([scores.deletions[:, None], scores.substitutions], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--phones", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sequence = np.random.default_rng(1).integers(1, LABELS + 1, options.phones)
    emissions = peaky_posteriors(round(50 * options.seconds), sequence)
    sides = {"one by one": one_by_one, "batched": batched, "shared tables": shared}
    best = dict.fromkeys(sides, np.inf)
    results = {}
    for _ in range(options.rounds):
        for name, side in sides.items():
            for _ in range(1 if side is one_by_one else 20):
                start = time.process_time()
                results[name] = side(emissions, sequence)
                best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        error = np.abs(results[name] / results["one by one"] - 1).max()
        ratio = best["one by one"] / seconds
        print(f"{name:14s} {1e3 * seconds:8.1f} ms  {ratio:6.1f} x  largest difference {error:.1e}")
        assert error < 1e-4


if __name__ == "__main__":
    main()
