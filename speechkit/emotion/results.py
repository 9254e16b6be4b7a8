"""What ``evaluate emotion`` writes, and how its measures are summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import schema
from speechkit.base.errors import DataError
from speechkit.base.tables import write_tsv
from speechkit.emotion import metrics
from speechkit.stats.bootstrap import draw_speakers

TABLE, SUMMARY, ABOUT = "predictions.tsv", "summary.json", "about.json"
CLASSES, CONFUSION, WORST = "classes.tsv", "confusion.tsv", "worst.tsv"
SAMPLES, LEVEL = 2000, 95.0  # of the bootstrap
WORST_CLIPS = 20
COLUMNS = ("utt", "speaker", "fold", "seed", "label", "predicted")
DIGITS = 6  # of probabilities in the table; all measures are those of the table

Summary = dict[str, dict[str, Any]]


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
    rows = [
        [
            str(found.utterances[i]),
            str(found.speakers[i]),
            str(found.folds[i]),
            str(found.seeds[i]),
            str(named[found.targets[i]]),
            str(named[found.predicted[i]]),
            *(f"{p:.{DIGITS}f}" for p in found.probabilities[i]),
        ]
        for i in range(len(found.utterances))
    ]
    write_tsv(folder / TABLE, columns, rows)


def read_predictions(folder: Path) -> Predictions:
    """``predictions.tsv`` of an evaluation.

    Raises:
        DataError: it is not there, or not such a table.
    """
    import pandas

    path = folder / TABLE
    try:
        table = pandas.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False)
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
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        raise DataError(
            f"{path} cannot be read: {error}.", "Make it again with: speechkit evaluate emotion"
        ) from error


def summarize(found: Predictions, seed: int = 0) -> Summary:
    """Measures by name.

    ``mean`` is over all folds and seeds. ``std`` and ``n`` are those of the folds (each the
    mean of its seeds), or of the seeds if there is one fold; ``std_seeds`` and ``seeds`` are
    over seeds, all folds of a seed taken together. Accuracy and UAR have the interval ``low``
    to ``high`` of a bootstrap over speakers (training is not resampled).

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
        of_folds = [float(np.mean([one[name] for one in fold])) for fold in each]
        of_seeds = [one[name] for one in together]
        spread = of_folds if len(of_folds) > 1 else of_seeds
        summary[name] = {
            "mean": float(np.mean(of_folds)),
            "std": _std(spread),
            "n": len(spread),
            "std_seeds": _std(of_seeds),
            "seeds": len(of_seeds),
        }
    for name, (low, high) in intervals(found, seed).items():
        summary[name] |= {"low": low, "high": high}
    return summary


def _std(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def intervals(found: Predictions, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % intervals of accuracy and UAR by a bootstrap over speakers; none for one speaker."""
    ids, first, place = np.unique(found.utterances, return_index=True, return_inverse=True)
    targets = found.targets[first]
    hit = (found.predicted == found.targets).astype(np.float64)
    right = np.bincount(place, hit) / np.bincount(place)
    names, members = np.unique(found.speakers[first].astype(str), return_inverse=True)
    if len(names) < 2 or not len(ids):
        return {}
    drawn = draw_speakers(len(names), SAMPLES, seed)
    edges = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)
    found_in = metrics.bootstrap(targets, right, members, drawn, len(found.classes))
    return {
        name: (float(np.percentile(values, edges[0])), float(np.percentile(values, edges[1])))
        for name, values in found_in.items()
    }


def class_rows(found: Predictions) -> list[list[Any]]:
    """As scikit-learn's report: class, precision, recall, F1, support; means over the seeds.

    All folds of a seed are taken together. The last rows are the macro and weighted means and
    the accuracy.
    """
    reports = [
        metrics.report(found.where(found.seeds == seed).matrix()) for seed in np.unique(found.seeds)
    ]
    names = ("precision", "recall", "f1")
    rows: list[list[Any]] = []
    for index, name in enumerate(found.classes):
        values = [float(np.mean([getattr(r, n)[index] for r in reports])) for n in names]
        rows.append([name, *values, int(reports[0].support[index])])
    total = int(reports[0].support.sum())
    for title, kind in (("macro avg", "macro"), ("weighted avg", "weighted")):
        means = [float(np.mean([getattr(r, kind)[n] for r in reports])) for n in names]
        rows.append([title, *means, total])
    rows.append(["accuracy", None, None, float(np.mean([r.accuracy for r in reports])), total])
    return rows


def worst_rows(found: Predictions, count: int = WORST_CLIPS) -> list[dict[str, Any]]:
    """The clips that are most confidently wrong, worst first.

    Probabilities are the mean over the seeds (and models). ``confidence`` is that of the wrong
    class, ``p_label`` that of the true one; clips are ranked by their difference.
    """
    ids, first, place = np.unique(found.utterances, return_index=True, return_inverse=True)
    sums = np.zeros((len(ids), len(found.classes)))
    np.add.at(sums, place, found.probabilities)
    means = sums / np.bincount(place)[:, None]
    targets, guessed = found.targets[first], means.argmax(1)
    all_ids = np.arange(len(ids))
    margin = means[all_ids, guessed] - means[all_ids, targets]
    order = sorted(np.flatnonzero(guessed != targets), key=lambda i: (-margin[i], ids[i]))
    return [
        {
            "rank": rank,
            "utt": str(ids[i]),
            "speaker": str(found.speakers[first[i]]),
            "label": found.classes[targets[i]],
            "predicted": found.classes[guessed[i]],
            "confidence": float(means[i, guessed[i]]),
            "p_label": float(means[i, targets[i]]),
        }
        for rank, i in enumerate(order[:count], 1)
    ]


def write_tables(folder: Path, found: Predictions) -> None:
    """Write ``classes.tsv``, ``confusion.tsv`` (counts, then shares) and ``worst.tsv``."""
    columns = ("class", "precision", "recall", "f1", "support")
    write_tsv(folder / CLASSES, columns, class_rows(found), ".4f")
    counts = found.matrix()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    lines = [
        [kind, name, *(f"{v:g}" if kind == "count" else f"{v:.4f}" for v in matrix[i])]
        for kind, matrix in (("count", counts), ("share", shares))
        for i, name in enumerate(found.classes)
    ]
    write_tsv(folder / CONFUSION, ("kind", "true", *found.classes), lines)
    worst = worst_rows(found)
    names = ("rank", "utt", "speaker", "label", "predicted", "confidence", "p_label")
    write_tsv(folder / WORST, names, [[row[n] for n in names] for row in worst], ".4f")


def read_summary(folder: Path) -> Summary:
    """``summary.json`` of an evaluation."""
    return schema.read_json(folder / SUMMARY, schema.Object)


def read_about(folder: Path) -> dict[str, Any]:
    """``about.json`` of an evaluation: what was measured, and what its numbers mean."""
    return schema.read_json(folder / ABOUT, schema.Object)
