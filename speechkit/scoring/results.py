"""What ``evaluate scoring`` writes: a table of utterances, errors by score, calibration, a summary.

Predictions and labels lie between 0 and 1; "points" are those of the label's own scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.tables import trimmed, write_tsv
from speechkit.stats import intervals
from speechkit.stats.score_metrics import class_errors, macro_mae, mse, over_seeds, pcc

if TYPE_CHECKING:
    from speechkit.scoring.data import ScoringSet

CLASSES, WORST = "classes.tsv", "worst.tsv"
TABLE, CALIBRATION = "utterances.tsv", "calibration.tsv"
FIXED = ("utt", "speaker", "phones", "words")
DIGITS = 5  # of predictions in the tables
LISTED = 20  # worst utterances
BINS = 10  # of the calibration


@dataclass(frozen=True)
class Scored:
    """A set and what the seeds of a model say of it.

    Args:
        found: the set.
        seeds: of the S models.
        predictions: float64 ``[S, U]`` from 0 to 1.
    """

    found: ScoringSet
    seeds: list[int]
    predictions: np.ndarray

    @property
    def aspect(self) -> str:
        """``utterance_<target>``, as in the tables of pronunciation."""
        return f"utterance_{self.found.target}"

    @property
    def labels(self) -> np.ndarray:
        """From 0 to 1, float64 ``[U]``; NaN: not scored."""
        return np.asarray(self.found.labels, dtype=np.float64)

    @property
    def ensemble(self) -> np.ndarray:
        """Mean of the seeds ``[U]``."""
        return np.asarray(self.predictions.mean(axis=0))

    @property
    def span(self) -> float:
        """Points from the lowest to the highest score."""
        low, high = self.found.scale
        return float(high - low)

    def points(self, values: np.ndarray) -> np.ndarray:
        """Values from 0 to 1 on the label's own scale."""
        return self.found.scale[0] + self.span * np.asarray(values, dtype=np.float64)


def class_width(span: float) -> float:
    """Points that the classes of a score lie apart: 1 on scales like 1 to 5 and 0 to 10."""
    return 1.0 if 4 <= span <= 20 else span / 10


def summarize(scored: Scored, samples: int) -> dict[str, dict[str, Any]]:
    """Flat measures: mean, standard deviation and number of seeds of each.

    PCC and MSE (of scores from 0 to 1) also have ``low`` and ``high``, the 95 % interval of
    their mean over the speakers; names that end in ``_ensemble`` are of the mean prediction
    of all seeds.
    """
    labels, found = scored.labels, {}
    for ending, predicted in (("", scored.predictions), ("_ensemble", scored.ensemble[None])):
        for kind, measure, statistic in (
            ("pcc", pcc, intervals.pcc_of),
            ("mse", mse, intervals.mse_of),
        ):
            values = over_seeds(measure(predicted, labels))
            values.update(_interval(scored, predicted, statistic, samples))
            found[f"{scored.aspect}_{kind}{ending}"] = values
        errors = mse(predicted, labels) * scored.span**2
        found[f"{scored.aspect}_mse_points{ending}"] = over_seeds(errors)
    by_class = class_errors(
        scored.points(scored.predictions), scored.points(labels), class_width(scored.span)
    )
    found[f"{scored.aspect}_macro_mae_points"] = over_seeds(macro_mae(by_class))
    slope = np.array([_slope(row, labels) for row in scored.predictions])
    found[f"{scored.aspect}_calibration_slope"] = over_seeds(slope)
    return {**found, **_counts(scored)}


def _interval(
    scored: Scored, predicted: np.ndarray, statistic: intervals.Statistic, samples: int
) -> dict[str, float | None]:
    names, places = np.unique(scored.found.speakers, return_inverse=True)
    sums = intervals.moments(predicted, scored.labels, places, len(names))
    drawn = intervals.draw(len(names), samples, 0)
    low, high = intervals.interval(intervals.sample(statistic, sums, drawn))
    return {"low": low, "high": high}


def _slope(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Of the line that says the label by the prediction; NaN where predictions do not vary."""
    given = np.isfinite(labels)
    x, y = predicted[given], labels[given]
    x = x - x.mean()
    spread = float((x * x).sum())
    return float((x * y).sum() / spread) if spread > 1e-12 * max(len(x), 1) else math.nan


def _counts(scored: Scored) -> dict[str, dict[str, Any]]:
    found, n = scored.found, len(scored.seeds)
    given = np.isfinite(scored.labels)
    counts: Sequence[tuple[str, int]] = (
        ("utterances", int(given.sum())),
        ("words", int(found.first_word[-1])),
        ("phones", int(found.first[-1])),
        ("speakers", len({s for s, one in zip(found.speakers, given, strict=True) if one})),
        ("utterances_skipped", len(found.skipped)),
    )
    return {name: {"mean": value, "std": None, "n": n} for name, value in counts}


def write_tables(folder: Path, scored: Scored, texts: Mapping[str, str]) -> None:
    """Write ``utterances.tsv``, ``classes.tsv``, ``calibration.tsv`` and ``worst.tsv``.

    Args:
        folder: an existing folder.
        scored: the predictions.
        texts: utterance -> what is read.
    """
    found, aspect = scored.found, scored.aspect
    columns = (*FIXED, aspect, f"{aspect}_mean", *(f"{aspect}_seed{s}" for s in scored.seeds))
    sizes = (np.diff(found.first), np.diff(found.first_word))
    values = np.stack([scored.labels, scored.ensemble, *scored.predictions])
    rows = [
        [name, speaker, *(str(int(size[u])) for size in sizes), *map(_cell, values[:, u].tolist())]
        for u, (name, speaker) in enumerate(zip(found.utterances, found.speakers, strict=True))
    ]
    write_tsv(folder / TABLE, columns, rows)
    _write_classes(folder, scored)
    bins = calibration(scored.points(scored.ensemble), scored.points(scored.labels))
    columns = ("count", "mean_prediction", "mean_label", "label_std")
    write_tsv(
        folder / CALIBRATION, columns, [[str(int(n)), *map(_cell, rest)] for n, *rest in bins]
    )
    _write_worst(folder, scored, texts)


def _cell(value: float) -> str:
    return trimmed(value, DIGITS)


def _write_classes(folder: Path, scored: Scored) -> None:
    """Errors for each class of the label in points: mean and std over seeds."""
    columns = ("score", "count", "mse", "mse_std", "mae", "mae_std", "mean_prediction")
    predicted, labels = scored.points(scored.predictions), scored.points(scored.labels)
    rows = []
    for error in class_errors(predicted, labels, class_width(scored.span)):
        cells = [_cell(error.score), str(error.count)]
        for values in (error.mse, error.mae):
            std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
            cells += [_cell(float(values.mean())), _cell(std)]
        rows.append([*cells, _cell(float(error.mean.mean()))])
    write_tsv(folder / CLASSES, columns, rows)


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


def _write_worst(folder: Path, scored: Scored, texts: Mapping[str, str]) -> None:
    """The utterances whose mean prediction is furthest from the label, in points."""
    found = scored.found
    labels, mean = scored.points(scored.labels), scored.points(scored.ensemble)
    off = np.abs(mean - labels)
    order = [int(u) for u in np.argsort(-off, kind="stable") if np.isfinite(off[u])]
    rows = [
        [
            *(str(rank), found.utterances[u], found.speakers[u]),
            *(_cell(float(v)) for v in (off[u], labels[u], mean[u])),
            texts.get(found.utterances[u], ""),
        ]
        for rank, u in enumerate(order[:LISTED], 1)
    ]
    columns = ("rank", "utt", "speaker", "error", "label", "prediction", "text")
    write_tsv(folder / WORST, columns, rows)
