"""Measures of predicted scores: correlation, errors by class, detection of low scores.

Predictions are float64 ``[..., n]``, labels ``[n]``; labels that are NaN count nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LOW = {"phone": 0.5, "word": 1.0, "utterance": 1.0}
"""Up to which label (on the scale from 0 to 2) something counts as badly said, by level."""
_EDGE = 1e-4  # of a class: what rounding may take from a score that is on an edge
Scores = TypeVar("Scores", np.ndarray, "Tensor")


def class_places(scores: Scores, width: float, low: float = 0.0, nearest: bool = False) -> Scores:
    """Number of the class of each score, as whole floats of the same shape; NaN stays NaN.

    A class s holds the scores from s to below s + width (Do et al., section 3.2.1). One within a
    ten-thousandth of a class below an edge is on it: 0.6 / 0.2 is class 3, although it is
    2.9999999999999996 in floating point.

    Args:
        scores: an array or a tensor.
        width: of a class.
        low: the lowest score; its class is 0.
        nearest: the class whose score is nearest instead.
    """
    return ((scores - low) / width + (0.5 * nearest + _EDGE)) // 1


def pcc(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pearson's correlation ``[...]``; NaN where either does not vary."""
    x, y = _given(predictions, labels)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean()
    spread = np.sqrt((x**2).sum(-1) * (y**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12 * max(len(y), 1), (x * y).sum(-1) / spread, np.nan)


def mse(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean squared error ``[...]``."""
    x, y = _given(predictions, labels)
    return ((x - y) ** 2).mean(-1)


def _given(predictions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    given = ~np.isnan(labels)
    return predictions[..., given].astype(np.float64), labels[given].astype(np.float64)


def measure(
    predictions: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``<aspect>_pcc`` and ``<aspect>_mse`` of every aspect that has labels, ``[...]``."""
    measures = {}
    for aspect, predicted in predictions.items():
        if not np.isnan(labels[aspect]).all():
            measures[f"{aspect}_pcc"] = pcc(predicted, labels[aspect])
            measures[f"{aspect}_mse"] = mse(predicted, labels[aspect])
    return measures


def mean_pcc(measures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean of the correlations that are defined ``[...]``; -1 if none is."""
    values = np.stack([value for name, value in measures.items() if name.endswith("_pcc")])
    counted = (~np.isnan(values)).sum(0)
    return np.where(counted > 0, np.nansum(values, axis=0) / np.maximum(counted, 1), -1.0)


def over_seeds(values: np.ndarray) -> dict[str, Any]:
    """Of the seeds that have a value."""
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[np.isfinite(kept)]
    return {
        "mean": float(kept.mean()) if len(kept) else None,
        "std": float(kept.std(ddof=1)) if len(kept) > 1 else None,
        "n": len(kept),
    }


@dataclass(frozen=True)
class ClassError:
    """Mean errors and mean prediction ``[...]`` of the items whose label is in one class."""

    score: float
    count: int
    mse: np.ndarray
    mae: np.ndarray
    mean: np.ndarray


def class_errors(
    predictions: np.ndarray, labels: np.ndarray, width: float = 0.2
) -> list[ClassError]:
    """Errors for each class of the label that occurs (:func:`class_places`, from 0)."""
    x, y = _given(predictions, labels)
    classes = class_places(y, width).astype(int)
    errors = []
    for number in np.unique(classes):
        inside = classes == number
        error = x[..., inside] - y[inside]
        errors.append(
            ClassError(
                round(float(number * width), 6),
                int(inside.sum()),
                (error**2).mean(-1),
                np.abs(error).mean(-1),
                x[..., inside].mean(-1),
            )
        )
    return errors


def macro_mae(errors: list[ClassError]) -> np.ndarray:
    """Mean over the classes of their mean absolute errors: rare scores count like common ones."""
    return np.mean([error.mae for error in errors], axis=0)


def low_threshold(predictions: np.ndarray, labels: np.ndarray, low: float) -> float | None:
    """The prediction up to which an item is best called low: that with the highest F1.

    Args:
        predictions: ``[n]``, of the training set.
        low: highest label of a low item.

    Returns:
        None where no item, or every item, is low.
    """
    x, y = _given(predictions, labels)
    bad = y <= low + 1e-6
    if not bad.any() or bad.all():
        return None
    order = np.argsort(x, kind="stable")
    hits = np.cumsum(bad[order])
    f1 = 2 * hits / (np.arange(1, len(x) + 1) + bad.sum())
    last = np.append(np.diff(x[order]) > 0, True)  # a threshold never parts equal predictions
    return float(x[order][np.argmax(np.where(last, f1, -1))])


def detection(
    predictions: np.ndarray, labels: np.ndarray, low: float, threshold: float | None
) -> dict[str, float]:
    """How well low items are found: ``recall`` and ``precision`` of predictions up to the
    threshold, ``auc`` (area under the ROC curve: how often a low item has a lower prediction
    than another), and ``count`` of low items. NaN where undefined.

    Args:
        predictions: ``[n]``.
        low: highest label of a low item.
        threshold: as from :func:`low_threshold`.
    """
    from scipy.stats import rankdata  # takes long to import

    x, y = _given(predictions, labels)
    bad = y <= low + 1e-6
    measures = {"recall": np.nan, "precision": np.nan, "auc": np.nan, "count": float(bad.sum())}
    if bad.any() and not bad.all():
        ranks = rankdata(x)
        n, m = int(bad.sum()), int((~bad).sum())
        measures["auc"] = float(1 - (ranks[bad].sum() - n * (n + 1) / 2) / (n * m))
    if threshold is not None:
        called = x <= threshold
        both = float((called & bad).sum())
        measures["recall"] = both / bad.sum() if bad.any() else np.nan
        measures["precision"] = both / called.sum() if called.any() else np.nan
    return {name: float(value) for name, value in measures.items()}
