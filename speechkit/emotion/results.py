"""Predictions of an evaluation, their measures over folds and seeds, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import schema
from speechkit.base.tables import write_tsv
from speechkit.emotion import calibration, metrics
from speechkit.stats.bootstrap import Interval, draw_speakers, interval
from speechkit.stats.score_metrics import over_seeds
from speechkit.task.evaluation import Summary, read_table

if TYPE_CHECKING:
    import pandas as pd

TABLE, ABOUT = "predictions.tsv", "about.json"
SAMPLES = 2000  # of the bootstrap
COLUMNS = ("utt", "speaker", "fold", "seed", "label", "predicted")
DIGITS = 6  # of probabilities in the table; all measures are those of the table


@dataclass(frozen=True)
class Predictions:
    """One row per clip, fold and seed.

    Args:
        classes: C names.
        utterances: ids ``[N]``.
        speakers: ``[N]``.
        folds: ``[N]``.
        seeds: ``[N]``.
        targets: class indices ``[N]``.
        probabilities: ``[N, C]``.
    """

    classes: tuple[str, ...]
    utterances: np.ndarray
    speakers: np.ndarray
    folds: np.ndarray
    seeds: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Most probable class of each row, ``[N]``."""
        return self.probabilities.argmax(1)

    def where(self, rows: np.ndarray) -> Predictions:
        """Some of the rows."""
        parts = (getattr(self, name) for name in self.__dataclass_fields__ if name != "classes")
        return Predictions(self.classes, *(part[rows] for part in parts))

    def matrix(self) -> np.ndarray:
        """Confusion counts ``[C, C]`` of all rows."""
        return metrics.confusion(self.targets, self.predicted, len(self.classes))


def write_predictions(folder: Path, found: Predictions) -> None:
    """Write ``predictions.tsv``."""
    named = np.array(found.classes)
    columns = [*COLUMNS, *(f"p_{name}" for name in found.classes)]
    about = (found.utterances, found.speakers, found.folds, found.seeds)
    labels = (named[found.targets], named[found.predicted])
    rows = zip(*about, *labels, *found.probabilities.T, strict=True)
    write_tsv(folder / TABLE, columns, rows, f".{DIGITS}f")


def read_predictions(folder: Path) -> Predictions:
    """``predictions.tsv`` of an evaluation.

    Raises:
        DataError: it is not there, or not such a table.
    """

    def convert(table: pd.DataFrame) -> Predictions:
        classes = tuple(c.removeprefix("p_") for c in table.columns if c.startswith("p_"))
        if missing := set(COLUMNS).difference(table.columns) or (not classes and {"p_..."}):
            raise ValueError(f"no column {min(missing)}")
        index = {name: i for i, name in enumerate(classes)}
        if unknown := set(table["label"]) - set(classes):
            raise ValueError(f"the label '{min(unknown)}' is no class")
        return Predictions(
            classes,
            table["utt"].to_numpy(object),
            table["speaker"].to_numpy(object),
            table["fold"].astype(int).to_numpy(),
            table["seed"].astype(int).to_numpy(),
            table["label"].map(index).to_numpy(np.int64),
            table[[f"p_{name}" for name in classes]].astype(float).to_numpy(),
        )

    return read_table(folder / TABLE, "evaluate emotion", convert)


def read_about(folder: Path) -> dict[str, Any]:
    """``about.json`` of an evaluation: what was measured, and what its numbers mean."""
    return schema.read_json(folder / ABOUT, schema.Object)


def summarize(found: Predictions, seed: int = 0) -> Summary:
    """Measures by name.

    ``mean`` is over all folds and seeds. ``std`` and ``n`` are those of the folds (each the
    mean of its seeds), or of the seeds if there is one fold; ``std_seeds`` and ``seeds`` are
    over seeds, all folds of a seed taken together. Accuracy and UAR have the interval ``low``
    to ``high`` of a bootstrap over speakers (training is not resampled). ``ece`` is the expected
    calibration error, over seeds, all folds of a seed taken together.

    Args:
        found: all rows.
        seed: of the bootstrap.
    """
    folds, seeds = np.unique(found.folds), np.unique(found.seeds)
    each = [
        [
            metrics.flat(metrics.report(part.matrix()), found.classes)
            for s in seeds
            if len((part := found.where((found.folds == f) & (found.seeds == s))).targets)
        ]
        for f in folds
    ]
    together = [
        metrics.flat(metrics.report(found.where(found.seeds == s).matrix()), found.classes)
        for s in seeds
    ]
    summary: Summary = {}
    for name in each[0][0]:
        of_folds = over_seeds(np.array([np.mean([one[name] for one in fold]) for fold in each]))
        of_seeds = over_seeds(np.array([one[name] for one in together]))
        summary[name] = {
            **(of_folds if len(each) > 1 else of_seeds),
            "mean": of_folds["mean"],
            "std_seeds": of_seeds["std"],
            "seeds": of_seeds["n"],
        }
    for name, (low, high) in intervals(found, seed).items():
        summary[name] |= {"low": low, "high": high}
    summary["ece"] = calibration_of(found, seed)
    return summary


def calibration_of(found: Predictions, seed: int = 0) -> dict[str, Any]:
    """ECE of the rows, with the interval of a bootstrap over speakers; none for one speaker."""
    names, members = np.unique(found.speakers.astype(str), return_inverse=True)
    drawn = draw_speakers(len(names), SAMPLES, seed) if len(names) > 1 else None
    return calibration.summary(found.probabilities, found.targets, members, found.seeds, drawn)


@dataclass(frozen=True)
class _Clips:
    """Each clip once: ids, true classes, shares of its seeds that were right, speakers ``[N]``."""

    ids: np.ndarray
    targets: np.ndarray
    right: np.ndarray
    speakers: np.ndarray

    @classmethod
    def of(cls, found: Predictions) -> _Clips:
        ids, first, place = np.unique(
            found.utterances.astype(str), return_index=True, return_inverse=True
        )
        hit = (found.predicted == found.targets).astype(np.float64)
        right = np.bincount(place, hit) / np.bincount(place)
        return cls(ids, found.targets[first], right, found.speakers[first].astype(str))


def intervals(found: Predictions, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of accuracy and UAR by a bootstrap over speakers; none for one speaker."""
    clips = _Clips.of(found)
    names, members = np.unique(clips.speakers, return_inverse=True)
    if len(names) < 2:
        return {}
    drawn = draw_speakers(len(names), SAMPLES, seed)
    measured = metrics.bootstrap(clips.targets, clips.right, members, drawn, len(found.classes))
    return {name: interval(values[:, None]) for name, values in measured.items()}


@dataclass(frozen=True)
class Difference:
    """What the second evaluation has more than the first.

    Args:
        first: the measure of the first one.
        second: of the second one.
        low: lower end of the 95 % interval of second - first; None for one speaker.
        high: its upper end.
        clips: that both tested.
    """

    first: float
    second: float
    low: float | None
    high: float | None
    clips: int

    @property
    def gap(self) -> float:
        return self.second - self.first


def compare(first: Predictions, second: Predictions, seed: int = 0) -> dict[str, Difference]:
    """Differences in accuracy and UAR on the clips that both tested; none if there are none.

    The share of seeds (and folds) that were right on a clip is what counts; speakers are drawn
    for both at once, training is not resampled.

    Args:
        first: of one model or protocol.
        second: of the other; of the same classes.
        seed: of the draw.
    """
    one, other = _Clips.of(first), _Clips.of(second)
    common, here, there = np.intersect1d(one.ids, other.ids, True, return_indices=True)
    if not len(common) or first.classes != second.classes:
        return {}
    names, members = np.unique(one.speakers[here], return_inverse=True)
    every = np.ones((1, len(names)), np.int64)
    drawn = np.concatenate([every, draw_speakers(len(names), SAMPLES, seed)])
    measured = [
        metrics.bootstrap(one.targets[here], right, members, drawn, len(first.classes))
        for right in (one.right[here], other.right[there])
    ]
    differences = {}
    for name in measured[0]:
        a, b = measured[0][name], measured[1][name]
        low, high = interval((b - a)[1:, None]) if len(names) > 1 else (None, None)
        differences[name] = Difference(float(a[0]), float(b[0]), low, high, len(common))
    return differences
