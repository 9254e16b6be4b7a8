"""Measures of classification, from a confusion matrix.

Accuracy is what emotion papers call weighted accuracy (WA); UAR is the unweighted average
recall, the mean of the recalls of the classes that occur. Precision, recall and F1 are
scikit-learn's, with 0 where they are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts ``[C, C]`` of class indices ``[N]``: rows are the true classes, columns the predicted.

    Each pair (true, predicted) has a cell ``true * C + predicted``: of three classes, a clip of
    class 1 that is taken for class 2 counts in cell 5.
    """
    cells = np.bincount(targets * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True)
class Report:
    """Measures of one confusion matrix.

    Args:
        accuracy: share of clips that are right.
        uar: mean recall of the classes that occur.
        by_class: precision, recall and f1 of each class ``[C]``.
        support: clips of each class.
        macro: means of precision, recall and f1 over the classes that occur or are predicted.
        weighted: their means over the classes weighted by support.
    """

    accuracy: float
    uar: float
    by_class: dict[str, np.ndarray]
    support: np.ndarray
    macro: dict[str, float]
    weighted: dict[str, float]


def report(matrix: np.ndarray) -> Report:
    """All measures of a confusion matrix ``[C, C]`` with at least one clip."""
    right = np.diagonal(matrix).astype(np.float64)
    support, given = matrix.sum(1), matrix.sum(0)
    recall, precision = _share(right, support), _share(right, given)
    f1 = _share(2 * precision * recall, precision + recall)
    by_class = {"precision": precision, "recall": recall, "f1": f1}
    shown, weights = (support > 0) | (given > 0), support / max(support.sum(), 1)
    return Report(
        accuracy=float(right.sum() / matrix.sum()),
        uar=float(recall[support > 0].mean()),
        by_class=by_class,
        support=support,
        macro={name: float(values[shown].mean()) for name, values in by_class.items()},
        weighted={name: float((values * weights).sum()) for name, values in by_class.items()},
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def flat(measures: Report, classes: Sequence[str]) -> dict[str, float]:
    """Measures by name, as in ``summary.json``: ``accuracy``, ``uar``, ``recall_angry`` ..."""
    return {
        "accuracy": measures.accuracy,
        "uar": measures.uar,
        **{f"{name}_macro": value for name, value in measures.macro.items()},
        **{f"{name}_weighted": value for name, value in measures.weighted.items()},
        **{
            f"{name}_{c}": float(value)
            for name, values in measures.by_class.items()
            for c, value in zip(classes, values, strict=True)
        },
    }


def bootstrap(
    targets: np.ndarray, right: np.ndarray, members: np.ndarray, drawn: np.ndarray, classes: int
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
    return {"accuracy": (weights @ right) / weights.sum(1), "uar": np.nanmean(recall, axis=1)}
