"""Speaker verification measures on cosine scores."""

from __future__ import annotations

import numpy as np

from speechkit.training.seeds import rng

MAX_TRIALS = 5_000_000


def equal_error_rate(scores: np.ndarray, target: np.ndarray) -> float:
    """The error rate at the threshold where misses are as frequent as false alarms.

    Args:
        scores: ``[N]``, higher for "same speaker".
        target: ``[N]``, whether the trial is of one speaker.

    Returns:
        0..1, interpolated between the two nearest thresholds; NaN without both kinds.
    """
    target = np.asarray(target, bool)
    hits, others = int(target.sum()), int((~target).sum())
    if not hits or not others:
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked, sorted_scores = target[order], np.asarray(scores)[order]
    last = np.flatnonzero(np.append(np.diff(sorted_scores) != 0, True))  # one point per score
    misses = np.concatenate([[1.0], 1 - np.cumsum(ranked)[last] / hits])
    alarms = np.concatenate([[0.0], np.cumsum(~ranked)[last] / others])
    after = int(np.argmax(alarms >= misses))
    gap_before, gap_after = misses[after - 1] - alarms[after - 1], misses[after] - alarms[after]
    part = gap_before / (gap_before - gap_after)
    return float(alarms[after - 1] + part * (alarms[after] - alarms[after - 1]))


def trials(
    vectors: np.ndarray, speakers: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine scores of pairs of utterances: all pairs, or a random part of very many.

    Args:
        vectors: ``[N, D]``.
        speakers: ``[N]`` speaker of each.
        seed: for the choice among more than 5 million pairs.

    Returns:
        Scores and whether the pair is of one speaker, both ``[trials]``.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count = len(unit)
    if count * (count - 1) // 2 <= MAX_TRIALS:
        first, second = np.triu_indices(count, 1)
    else:
        draw = rng(seed)
        first = draw.integers(count, size=MAX_TRIALS)
        second = (first + draw.integers(1, count, size=MAX_TRIALS)) % count
    scores = np.empty(len(first), np.float32)
    for i in range(0, len(first), 1 << 18):
        a, b = first[i : i + (1 << 18)], second[i : i + (1 << 18)]
        scores[i : i + (1 << 18)] = np.einsum("nd,nd->n", unit[a], unit[b])
    return scores, speakers[first] == speakers[second]


def summary(vectors: np.ndarray, speakers: np.ndarray) -> dict[str, float]:
    """Equal error rate over trials, and how alike utterances of one and two speakers are."""
    scores, target = trials(vectors, speakers)
    same, other = scores[target], scores[~target]
    return {
        "trials": len(scores),
        "target_trials": int(target.sum()),
        "eer_percent": 100 * equal_error_rate(scores, target),
        "cosine_same_speaker_mean": float(same.mean()) if len(same) else float("nan"),
        "cosine_other_speaker_mean": float(other.mean()) if len(other) else float("nan"),
    }
