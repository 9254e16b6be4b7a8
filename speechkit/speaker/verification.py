"""Speaker verification measures on cosine scores."""

from __future__ import annotations

import numpy as np

from speechkit.base.random_draws import rng

MAX_TRIALS = 5_000_000
MAX_BOOTSTRAP = 300_000  # trials up to which intervals are computed


def equal_error_rate(
    scores: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """The error rate at the threshold where misses are as frequent as false alarms.

    Args:
        scores: ``[N]``, higher for "same speaker".
        target: ``[N]``, whether the trial is of one speaker.
        weights: ``[N]``, how often each trial counts (default once).

    Returns:
        0..1, interpolated between the two nearest thresholds; NaN without both kinds.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    same = np.asarray(target, bool)[order]
    count = np.ones(len(order)) if weights is None else np.asarray(weights, np.float64)[order]
    hits, others = count[same].sum(), count[~same].sum()
    if not hits or not others:
        return float("nan")
    sorted_scores = np.asarray(scores)[order]
    last = np.flatnonzero(np.append(np.diff(sorted_scores) != 0, True))  # one point per score
    misses = np.concatenate([[1.0], 1 - np.cumsum(count * same)[last] / hits])
    alarms = np.concatenate([[0.0], np.cumsum(count * ~same)[last] / others])
    after = int(np.argmax(alarms >= misses - 1e-12))
    gap_before, gap_after = misses[after - 1] - alarms[after - 1], misses[after] - alarms[after]
    part = gap_before / (gap_before - gap_after)
    return float(alarms[after - 1] + part * (alarms[after] - alarms[after - 1]))


def interval(
    vectors: np.ndarray, speakers: np.ndarray, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the equal error rate by a bootstrap over speakers.

    Each draw takes as many speakers as there are, with replacement; a trial counts as often
    as its speakers were drawn (trials between copies of one speaker do not exist).

    Args:
        vectors: ``[N, D]``, few enough for all pairs.
        speakers: ``[N]`` speaker of each.
    """
    names, number = np.unique(speakers, return_inverse=True)
    first, second = np.triu_indices(len(vectors), 1)
    scores, target = trials(vectors, speakers)
    order = np.argsort(-scores, kind="stable")  # sorted once: the draws only change weights
    scores, target = scores[order], target[order]
    a, b = number[first[order]], number[second[order]]
    rates = []
    for draw in range(draws):
        chosen = rng(seed, draw).integers(len(names), size=len(names))
        copies = np.bincount(chosen, minlength=len(names)).astype(np.float64)
        rates.append(
            equal_error_rate(scores, target, np.where(target, copies[a], copies[a] * copies[b]))
        )
    low, high = np.nanpercentile(rates, (2.5, 97.5))
    return float(low), float(high)


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


def summary_with_interval(vectors: np.ndarray, speakers: np.ndarray) -> dict[str, float]:
    """:func:`summary`, with a 95 % interval over speakers where all pairs are few enough."""
    found = summary(vectors, speakers)
    low = high = float("nan")
    if found["trials"] <= MAX_BOOTSTRAP and found["eer_percent"] == found["eer_percent"]:
        low, high = interval(vectors, speakers)
    return {**found, "eer_low_percent": 100 * low, "eer_high_percent": 100 * high}
