"""Correlation coefficients of values that come several times, for the bootstrap."""

from __future__ import annotations

import numpy as np

from speechkit.stats.bootstrap import draw_speakers, mixture_weights

FEWEST_SPEAKERS = 5  # to draw speakers; with fewer, mixtures are drawn


def draw_weights(people: np.ndarray, samples: int, seed: int) -> tuple[np.ndarray, str]:
    """How often each mixture comes in each bootstrap sample, ``[B, N]``, and what was drawn.

    Args:
        people: speakers of each mixture, ``[N, sources]``.
        samples: bootstrap samples.
        seed: of the draws.
    """
    names, members = np.unique(people, return_inverse=True)
    members = members.reshape(people.shape)
    if len(names) >= FEWEST_SPEAKERS:
        return mixture_weights(draw_speakers(len(names), samples, seed), members), "speakers"
    return draw_speakers(len(people), samples, seed).astype(np.float64), "mixtures"


def pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation under each row of weights.

    Args:
        x: ``[N]``, or ``[B, N]`` for values of each row's own.
        y: as ``x``.
        weights: ``[B, N]``, how often each item counts.

    Returns:
        ``[B]``; NaN where one side does not vary.
    """
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    square_x, square_y = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (weights * x * y).sum(axis=1) / np.sqrt(square_x * square_y)
    return np.where(np.minimum(square_x, square_y) > 1e-12 * total[:, 0], found, np.nan)


def spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of ``x [N]`` and ``y [N]`` under each row of weights."""
    return pearson(ranks(x, weights), ranks(y, weights), weights)


def ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean ranks ``[B, N]`` of values ``[N]`` that come ``weights [B, N]`` times."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(counts, axis=1) - counts / 2 + 0.5
    return middle[:, group]
