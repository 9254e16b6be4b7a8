"""Measures of predicted scores of utterances, and how far raters agree.

Predictions and labels lie between 0 and 1; "points" are those of the label's own scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.labels.score_files import rated, read_raters
from speechkit.stats import bootstrap
from speechkit.stats.score_metrics import class_errors, macro_mae, mse, over_seeds, pcc
from speechkit.task import scores

if TYPE_CHECKING:
    from speechkit.scoring.data import ScoringSet

BINS = 10  # of the calibration


@dataclass(frozen=True)
class Scored:
    """A set and what the seeds of a model say of it.

    Args:
        data: the set.
        seeds: of the S models.
        predictions: float64 ``[S, U]`` from 0 to 1.
    """

    data: ScoringSet
    seeds: list[int]
    predictions: np.ndarray

    @property
    def aspect(self) -> str:
        """``utterance_<target>``, as in the tables of pronunciation."""
        return f"utterance_{self.data.target}"

    @property
    def labels(self) -> np.ndarray:
        """From 0 to 1, float64 ``[U]``; NaN: not scored."""
        return np.asarray(self.data.labels, dtype=np.float64)

    @property
    def ensemble(self) -> np.ndarray:
        """Mean of the seeds ``[U]``."""
        return np.asarray(self.predictions.mean(axis=0))

    @property
    def span(self) -> float:
        """Points from the lowest to the highest score."""
        low, high = self.data.scale
        return float(high - low)

    def points(self, values: np.ndarray) -> np.ndarray:
        """Values from 0 to 1 on the label's own scale."""
        return self.data.scale[0] + self.span * np.asarray(values, dtype=np.float64)


def class_width(span: float) -> float:
    """Points that the classes of a score lie apart: 1 on scales like 1 to 5 and 0 to 10."""
    return 1.0 if 4 <= span <= 20 else span / 10


def summarize(scored: Scored, samples: int) -> dict[str, dict[str, Any]]:
    """Flat measures: mean, standard deviation and number of seeds of each.

    PCC and MSE (of scores from 0 to 1) also have ``low`` and ``high``, the 95 % interval of
    their mean over the speakers; names that end in ``_ensemble`` are of the mean prediction
    of all seeds.
    """
    labels, summary = scored.labels, {}
    for ending, predicted in (("", scored.predictions), ("_ensemble", scored.ensemble[None])):
        for kind, measure, statistic in (
            ("pcc", pcc, bootstrap.pcc_of),
            ("mse", mse, bootstrap.mse_of),
        ):
            ends = scores.interval(statistic, predicted, labels, scored.data.speakers, samples)
            summary[f"{scored.aspect}_{kind}{ending}"] = {
                **over_seeds(measure(predicted, labels)),
                **ends,
            }
        errors = mse(predicted, labels) * scored.span**2
        summary[f"{scored.aspect}_mse_points{ending}"] = over_seeds(errors)
    by_class = class_errors(
        scored.points(scored.predictions), scored.points(labels), class_width(scored.span)
    )
    summary[f"{scored.aspect}_macro_mae_points"] = over_seeds(macro_mae(by_class))
    slope = np.array([_slope(row, labels) for row in scored.predictions])
    summary[f"{scored.aspect}_calibration_slope"] = over_seeds(slope)
    one, given = scored.data, np.isfinite(labels)
    return summary | scores.count_rows(
        len(scored.seeds),
        utterances=int(given.sum()),
        words=int(one.first_word[-1]),
        phones=int(one.first[-1]),
        speakers=len(set(np.array(one.speakers)[given])),
        utterances_skipped=len(one.skipped),
    )


def _slope(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Of the line that says the label by the prediction; NaN where predictions do not vary."""
    given = np.isfinite(labels)
    x, y = predicted[given], labels[given]
    x = x - x.mean()
    spread = float((x * x).sum())
    return float((x * y).sum() / spread) if spread > 1e-12 * max(len(x), 1) else math.nan


def calibration(predicted: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[list[float]]:
    """Predictions against what was given, in bins of about equally many utterances.

    Args:
        predicted: ``[U]``.
        labels: ``[U]``; NaN counts nowhere.
        bins: at most.

    Returns:
        Of each bin, by rising prediction: count, mean prediction, mean label, and standard
        deviation of the labels (NaN of a single one).
    """
    given = np.isfinite(labels)
    x, y = predicted[given], labels[given]
    order = np.argsort(x, kind="stable")
    return [
        [
            float(len(part)),
            float(x[part].mean()),
            float(y[part].mean()),
            float(y[part].std(ddof=1)) if len(part) > 1 else math.nan,
        ]
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]


@dataclass(frozen=True)
class InterRater:
    """How far raters agree in one score: each with the mean of the others (Lin and Wang,
    section 3.1).

    Args:
        mean: of the raters' correlations that are defined; None if none is.
        raters: rater -> correlation with the mean of the others, over the utterances that the
            rater and at least one other scored; None where it is undefined.
        utterances: that two raters or more scored.
    """

    mean: float | None
    raters: dict[str, float | None]
    utterances: int


def inter_rater(folder: Path) -> dict[str, InterRater]:
    """Score -> agreement of a set, ``data/<set>``; empty where it has no ``rater_scores.tsv``.

    Raises:
        DataError: the table is damaged.
    """
    scores = read_raters(folder)
    names = sorted({rater for of in scores.values() for rater in of})
    agreement = {}
    for target in rated(scores):
        matrix = np.array(
            [[of.get(n, {}).get(target, np.nan) for of in scores.values()] for n in names]
        )
        agreement[target] = _agreement(names, matrix)
    return agreement


def _agreement(names: list[str], scores: np.ndarray) -> InterRater:
    """Of scores ``[R, U]``; NaN: not scored."""
    count = (~np.isnan(scores)).sum(axis=0)
    total = np.nansum(scores, axis=0)
    raters: dict[str, float | None] = {}
    for name, own in zip(names, scores, strict=True):
        both = ~np.isnan(own) & (count > 1)
        others = (total[both] - own[both]) / (count[both] - 1)
        value = float(pcc(others, own[both])) if both.sum() > 1 else np.nan
        raters[name] = None if np.isnan(value) else value
    defined = [value for value in raters.values() if value is not None]
    mean = sum(defined) / len(defined) if defined else None
    return InterRater(mean, raters, int((count > 1).sum()))
