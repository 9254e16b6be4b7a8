"""Distances between utterances, and the rule that says which pairs are hard.

A distance has two forms. ``exact`` is float64, one pair at a time, and does not depend on
which pairs are computed together: it defines the hard sets. ``approx`` and ``matrix`` are
fast and at most ``tolerance`` away from it; wherever that could change a decision, the exact
one decides.

The m nearest utterances of a pivot are stored as one number, its threshold. Three pivots with
m = 2, and the sorted distances to all candidates:

- 1, 2, 4: the threshold is 3, midway between the last distance inside and the first outside.
- 1, 2, 2: no number lies between 2 and 2. The threshold is 2, and ``tie`` is the row of the
  candidate at distance 2 that is inside; at exactly 2, later rows are outside.
- 1, 2: nothing is outside. The threshold is the next float64 above 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

NO_LIMIT = int(np.iinfo(np.int32).max)  # "tie" of a pivot whose threshold parts no tie
_PAIRS_AT_ONCE = 2048


class Distance(Protocol):
    """What mining and sampling need of a distance between rows (utterance numbers)."""

    tolerance: float

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """float64 distances of the pairs (i, j), ``[n]`` each."""

    def approx(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Distances of ``i`` ``[R]`` to ``j`` ``[R, c]``, within ``tolerance``."""

    def matrix(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Distances of all ``i`` to all ``j``, ``[len(i), len(j)]``, within ``tolerance``."""


class Difference:
    """Absolute difference of one number per utterance (pitch, log energy).

    Args:
        values: ``[N]`` float64; NaN for utterances without one.
    """

    tolerance = 0.0

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return np.abs(self.values[i] - self.values[j])

    def approx(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return np.abs(self.values[i][:, None] - self.values[j])

    matrix = approx  # of rows and of pairs alike


class Cosine:
    """Cosine distance ``max(0, 1 - x.y / (|x| |y|))`` of one vector per utterance.

    A float32 dot product of D terms, summed in any order, errs by at most about
    D 2^-24 |x| |y| (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1);
    ``tolerance`` is that bound with the roundings around it.

    Args:
        vectors: ``[N, D]`` float32 (a memory map will do); rows of zeros are never asked for.
        norms: ``[N]`` float64, their lengths, where they are known.
    """

    def __init__(self, vectors: np.ndarray, norms: np.ndarray | None = None) -> None:
        self.vectors = np.asarray(vectors)  # indexing a memmap object itself is slow
        self.tolerance = (vectors.shape[1] + 8) * 2.0**-24
        self.norms = np.empty(len(vectors)) if norms is None else norms
        if norms is not None:
            return
        for start in range(0, len(vectors), _PAIRS_AT_ONCE):
            part = self.vectors[start : start + _PAIRS_AT_ONCE].astype(np.float64)
            self.norms[start : start + len(part)] = np.sqrt((part * part).sum(axis=1))

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        distances = np.empty(len(i))
        for start in range(0, len(i), _PAIRS_AT_ONCE):
            a, b = i[start : start + _PAIRS_AT_ONCE], j[start : start + _PAIRS_AT_ONCE]
            product = self.vectors[a].astype(np.float64)
            product *= self.vectors[b]
            # A sum along contiguous rows adds in the same order whatever the other rows are.
            cosine = product.sum(axis=1) / (self.norms[a] * self.norms[b])
            distances[start : start + len(a)] = np.maximum(0.0, 1.0 - cosine)
        return distances

    def approx(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        dots = np.matmul(self.vectors[j], self.vectors[i][:, :, None])[:, :, 0]
        return 1.0 - dots / (self.norms[i][:, None] * self.norms[j])

    def matrix(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return 1.0 - self.unit(i) @ self.unit(j).T

    def unit(self, rows: np.ndarray, kind: str = "float32") -> np.ndarray:
        """The rows scaled to length 1; zero vectors stay zero."""
        unit = np.empty((len(rows), self.vectors.shape[1]), np.dtype(kind))
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            part = rows[start : start + _PAIRS_AT_ONCE]
            norms = self.norms[part][:, None]
            unit[start : start + len(part)] = self.vectors[part] / np.where(norms > 0, norms, 1)
        return unit


class Rule:
    """Whether ``j`` is hard for the pivot ``i``.

    A pair is inside if its distance is below the pivot's threshold, or equals it and ``j``
    comes no later than the pivot's ``tie`` in the set: so a threshold that falls on several
    equal distances still parts them as sorting in utterance order does.

    Args:
        distance: between rows.
        thresholds: ``[N]`` float64, NaN for pivots without hard pairs.
        ties: ``[N]`` last row that is inside at exactly the threshold; None for no limits.
    """

    def __init__(
        self, distance: Distance, thresholds: np.ndarray, ties: np.ndarray | None = None
    ) -> None:
        self.distance, self.thresholds, self.ties = distance, thresholds, ties

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Decide pairs ``[n]`` by their exact distance."""
        distance, threshold = self.distance.exact(i, j), self.thresholds[i]
        if self.ties is None:
            return distance <= threshold
        return (distance < threshold) | ((distance == threshold) & (j <= self.ties[i]))

    def proposals(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Decide ``j`` ``[R, c]`` for the pivots ``i`` ``[R]``."""
        return self._settle(i, j, self.distance.approx(i, j))

    def matrix(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Decide all ``j`` for all ``i``, ``[len(i), len(j)]`` (the same speaker too)."""
        near = self.distance.matrix(i, j)
        return self._settle(i, np.broadcast_to(j, near.shape), near)

    def _settle(self, i: np.ndarray, j: np.ndarray, near: np.ndarray) -> np.ndarray:
        threshold = self.thresholds[i][:, None]
        inside = near < threshold
        # Also true for NaN, which float32 gives where the vectors' lengths overflow it.
        unsure = ~(np.abs(near - threshold) > self.distance.tolerance)
        row, column = np.nonzero(unsure)
        inside[row, column] = self.exact(i[row], j[row, column])
        return inside


@dataclass
class HardSets:
    """The hard sets of all utterances, in short.

    Args:
        m: ``[N]`` int64, size of the hard set (0: none).
        threshold: ``[N]`` float64, NaN where m is 0.
        nearest: ``[N]`` int64 row of the nearest utterance, -1 where m is 0.
        tie: ``[N]`` int64, last row that is inside at exactly the threshold.
    """

    m: np.ndarray
    threshold: np.ndarray
    nearest: np.ndarray
    tie: np.ndarray

    @classmethod
    def empty(cls, m: np.ndarray) -> HardSets:
        count = len(m)
        return cls(m, np.full(count, np.nan), np.full(count, -1), np.full(count, NO_LIMIT))


def threshold_between(last: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The threshold between the last distance inside and the first outside.

    Midway; the last one itself where no number lies between them; the next float64 above
    the last where nothing is outside (``first`` infinite); NaN where nothing is inside.
    """
    with np.errstate(invalid="ignore"):
        middle = last + (first - last) / 2
    middle = np.where(middle < first, middle, last)
    return np.where(np.isinf(first), np.nextafter(last, np.inf), middle)
