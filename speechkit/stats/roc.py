"""How well false items are told from right ones by a value, with intervals over speakers.

An item is flagged where its value lies below a threshold. Of the values 1, 3 (false) and 2, 5, 6
(right) the threshold 4 flags both false items and one right one in three; of the six pairs of a
false and a right item five have the lower value in the false one, so the area under the ROC curve
is 5/6 (J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating
characteristic (ROC) curve", Radiology 143 (1), 1982).

``drawn`` is how often each speaker is drawn, float64 ``[B, K]``, as of
:func:`speechkit.stats.bootstrap.draw_speakers`; a statistic of it is ``[B]``, NaN where it is
undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechkit.stats import bootstrap

Statistic = Callable[[np.ndarray], np.ndarray]
_AT_ONCE = 200  # draws, so that 100,000 items fit into memory


@dataclass(frozen=True)
class Detection:
    """Right and false items.

    Args:
        right: values ``[N]``.
        right_of: speaker of each, from 0.
        false: values ``[M]``.
        false_of: speaker of each.
    """

    right: np.ndarray
    right_of: np.ndarray
    false: np.ndarray
    false_of: np.ndarray

    def area(self, drawn: np.ndarray) -> np.ndarray:
        """Area under the ROC curve of each draw: the share of pairs of a false and a right item
        in which the false one has the lower value; equal ones count half."""
        count = drawn.shape[1]
        pairs = np.zeros((count, count))  # that are won, by speaker of the false and of the right
        for speaker in np.unique(self.right_of):
            own = np.sort(self.right[self.right_of == speaker])
            ends = (np.searchsorted(own, self.false, side) for side in ("left", "right"))
            won = len(own) - sum(ends) / 2
            pairs[:, speaker] = np.bincount(self.false_of, won, count)
        false, right = (np.bincount(who, minlength=count) for who in (self.false_of, self.right_of))
        with np.errstate(invalid="ignore"):
            return ((drawn @ pairs) * drawn).sum(1) / ((drawn @ false) * (drawn @ right))

    def thresholds(self, drawn: np.ndarray, share: float) -> np.ndarray:
        """The highest threshold of each draw that flags at most a share of its right items: one of
        their values, or infinity."""
        order = np.argsort(self.right, kind="stable")
        ranked, who = self.right[order], self.right_of[order]
        found = np.full(len(drawn), np.nan)
        for first in range(0, len(drawn), _AT_ONCE):
            upto = np.cumsum(drawn[first : first + _AT_ONCE, who], axis=1)
            over = upto > np.floor(share * upto[:, -1:] + 1e-9)
            these = np.where(over.any(1), ranked[over.argmax(1)], np.inf)
            found[first : first + _AT_ONCE] = np.where(upto[:, -1] > 0, these, np.nan)
        return found

    def recall(self, drawn: np.ndarray, share: float) -> np.ndarray:
        """Share of the false items that are flagged where at most ``share`` of the right ones
        are."""
        flagged = self.false < self.thresholds(drawn, share)[:, None]
        weights = drawn[:, self.false_of]
        with np.errstate(invalid="ignore"):
            return (weights * flagged).sum(1) / weights.sum(1)

    def curve(self) -> np.ndarray:
        """Corners of the ROC curve, ``[n, 2]``: shares of the right and of the false items that
        are flagged, both ascending from 0 to 1."""
        from sklearn.metrics import roc_curve

        values = np.concatenate([self.right, self.false])
        false = np.arange(len(values)) >= len(self.right)
        return np.stack(roc_curve(false, -values)[:2], axis=1)


def mean(values: np.ndarray, of: np.ndarray) -> Statistic:
    """The mean of values ``[N]`` (shares are means of truth values) by their speakers ``[N]``."""

    def statistic(drawn: np.ndarray) -> np.ndarray:
        count = drawn.shape[1]
        sums, numbers = np.bincount(of, values, count), np.bincount(of, minlength=count)
        with np.errstate(invalid="ignore"):
            return (drawn @ sums) / (drawn @ numbers)

    return statistic


def measured(statistic: Statistic, drawn: np.ndarray) -> dict[str, Any]:
    """A statistic with its 95 % interval over speakers, as ``summary.json`` has it."""
    value = bootstrap.rounded(statistic(np.ones((1, drawn.shape[1])))[0])
    low, high = bootstrap.interval(statistic(drawn)[:, None])
    ends = {"low": bootstrap.rounded(low), "high": bootstrap.rounded(high)}
    return {"mean": value, "std": None, "n": int(value is not None), **ends}
