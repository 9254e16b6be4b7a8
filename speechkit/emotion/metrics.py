"""Measures of classification, from a confusion matrix.

Accuracy is what emotion papers call weighted accuracy (WA); UAR is the unweighted average
recall, the mean of the recalls of the classes that occur. Precision, recall and F1 are
scikit-learn's, with 0 where they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def confusion(
    targets: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Counts ``[C, C]``: rows are the true classes, columns the predicted ones.

    Args:
        targets: class indices ``[N]``.
        predicted: class indices ``[N]``.
        classes: C.
        weights: how often each clip counts, ``[N]``.
    """
    cells = np.bincount(targets * classes + predicted, weights, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True)
class Report:
    """Measures of one confusion matrix.

    Args:
        accuracy: share of clips that are right.
        uar: mean recall of the classes that occur.
        precision: per class.
        recall: per class.
        f1: per class.
        support: clips of each class.
        shown: classes that occur or are predicted; the macro means are over them.
    """

    accuracy: float
    uar: float
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    shown: np.ndarray

    @property
    def macro(self) -> dict[str, float]:
        """Plain means over the classes."""
        return {
            name: float(getattr(self, name)[self.shown].mean())
            for name in ("precision", "recall", "f1")
        }

    @property
    def weighted(self) -> dict[str, float]:
        """Means over the classes weighted by support."""
        share = self.support / max(self.support.sum(), 1)
        return {
            name: float((getattr(self, name) * share).sum())
            for name in ("precision", "recall", "f1")
        }


def report(matrix: np.ndarray) -> Report:
    """All measures of a confusion matrix ``[C, C]`` with at least one clip."""
    right = np.diagonal(matrix).astype(np.float64)
    support, given = matrix.sum(1), matrix.sum(0)
    recall, precision = _share(right, support), _share(right, given)
    return Report(
        accuracy=float(right.sum() / matrix.sum()),
        uar=float(recall[support > 0].mean()),
        precision=precision,
        recall=recall,
        f1=_share(2 * precision * recall, precision + recall),
        support=support,
        shown=(support > 0) | (given > 0),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def flat(found: Report, classes: Sequence[str]) -> dict[str, float]:
    """Measures by name, as in ``summary.json``: ``accuracy``, ``uar``, ``recall_angry`` ..."""
    values = {"accuracy": found.accuracy, "uar": found.uar}
    values.update({f"{name}_macro": value for name, value in found.macro.items()})
    values.update({f"{name}_weighted": value for name, value in found.weighted.items()})
    for name in ("precision", "recall", "f1"):
        values.update(
            {f"{name}_{c}": float(getattr(found, name)[i]) for i, c in enumerate(classes)}
        )
    return values


def bootstrap(
    targets: np.ndarray,
    right: np.ndarray,
    members: np.ndarray,
    drawn: np.ndarray,
    classes: int,
) -> dict[str, np.ndarray]:
    """Accuracy and UAR under draws of speakers, ``[B]`` each.

    A class that no drawn speaker has is left out of that draw's UAR.

    Args:
        targets: class indices ``[N]``.
        right: share of the seeds that were right on each clip, ``[N]``.
        members: speaker of each clip, as a position ``[N]``.
        drawn: how often each speaker was drawn, ``[B, speakers]``.
        classes: C.
    """
    weights = drawn[:, members].astype(np.float64)
    one = np.zeros((len(targets), classes))
    one[np.arange(len(targets)), targets] = 1
    support, hits = weights @ one, (weights * right) @ one
    recall = np.divide(hits, support, out=np.full(support.shape, np.nan), where=support > 0)
    return {
        "accuracy": (weights @ right) / weights.sum(1),
        "uar": np.nanmean(recall, axis=1),
    }
