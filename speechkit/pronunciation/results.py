"""What ``evaluate pronunciation`` writes: a table for each level, errors by class, a summary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.tables import trimmed, write_tsv
from speechkit.phone_features.dataset import ScoredSet
from speechkit.stats import intervals
from speechkit.stats.score_metrics import (
    LOW,
    class_errors,
    detection,
    macro_mae,
    measure,
    mse,
    over_seeds,
    pcc,
)
from speechkit.task.scores import TABLES

CLASSES, WORST = "classes.tsv", "worst.tsv"
DIGITS = 5  # of predictions in the tables
LISTED = 20  # worst utterances
_FIXED = {
    "phone": ("utt", "speaker", "index", "word_index", "phone"),
    "word": ("utt", "speaker", "index", "word"),
    "utterance": ("utt", "speaker", "phones"),
}


@dataclass(frozen=True)
class Scored:
    """A set and what the models say of it.

    Args:
        found: the set.
        seeds: of the S models.
        predictions: aspect -> ``[S, n]``, from 0 to 2.
        thresholds: aspect -> up to which prediction an item is called low (mean of the
            models'); None where undefined.
    """

    found: ScoredSet
    seeds: list[int]
    predictions: dict[str, np.ndarray]
    thresholds: dict[str, float | None]

    def scored(self) -> list[str]:
        """Aspects that are predicted and that the set has labels of."""
        labels = self.found.labels
        return [a for a in self.predictions if not np.isnan(labels[a]).all()]


def write_tables(folder: Path, scored: Scored) -> None:
    """Write ``phones.tsv``, ``words.tsv`` and ``utterances.tsv``: of each aspect the label
    (empty: not scored), ``<aspect>_mean`` over the seeds, and ``<aspect>_seed<N>``."""
    for level, name in TABLES.items():
        aspects = [a for a in scored.predictions if a.startswith(f"{level}_")]
        if not aspects:
            continue
        columns = [*_FIXED[level]]
        cells: list[list[str]] = []
        for aspect in aspects:
            predicted = scored.predictions[aspect]
            columns += [aspect, f"{aspect}_mean", *(f"{aspect}_seed{s}" for s in scored.seeds)]
            values = [scored.found.labels[aspect], predicted.mean(axis=0), *predicted]
            cells += [[_cell(float(value)) for value in row] for row in values]
        rows = zip(_items(scored.found, level), zip(*cells, strict=True), strict=True)
        write_tsv(folder / name, columns, [[*item, *row] for item, row in rows])


def _cell(value: float) -> str:
    return trimmed(value, DIGITS)


def _items(found: ScoredSet, level: str) -> Iterator[list[str]]:
    """The first columns of each line."""
    for u, (name, speaker) in enumerate(zip(found.utterances, found.speakers, strict=True)):
        first, last = int(found.first[u]), int(found.first[u + 1])
        word, end = int(found.first_word[u]), int(found.first_word[u + 1])
        if level == "utterance":
            yield [name, speaker, str(last - first)]
        elif level == "word":
            for k in range(word, end):
                yield [name, speaker, str(k - word), found.texts[k]]
        else:
            for k in range(first, last):
                of_word = str(int(found.words[k]) - word)
                yield [name, speaker, str(k - first), of_word, found.phones[k]]


def speaker_places(found: ScoredSet, aspect: str) -> tuple[np.ndarray, int]:
    """Speaker of each item of an aspect, as a number, and how many speakers there are."""
    names, places = np.unique(found.speakers, return_inverse=True)
    if aspect.startswith("phone_"):
        places = np.repeat(places, np.diff(found.first))
    elif aspect.startswith("word_"):
        places = np.repeat(places, np.diff(found.first_word))
    return places, len(names)


def summarize(scored: Scored, samples: int) -> dict[str, dict[str, Any]]:
    """Flat measures: mean, standard deviation and number of seeds of each.

    Correlations also have ``low`` and ``high``, the 95 % interval of their mean over the
    speakers; names that end in ``_ensemble`` are of the mean prediction of all seeds.
    """
    found: dict[str, dict[str, Any]] = {}
    labels = scored.found.labels
    for aspect in scored.scored():
        predicted, wanted = scored.predictions[aspect], labels[aspect].astype(np.float64)
        together = predicted.mean(axis=0)
        for name, values in measure({aspect: predicted}, labels).items():
            found[name] = over_seeds(values)
        found[f"{aspect}_pcc"].update(_interval(scored, aspect, samples))
        found[f"{aspect}_macro_mae"] = over_seeds(macro_mae(class_errors(predicted, wanted)))
        limit, low = scored.thresholds.get(aspect), LOW[aspect.partition("_")[0]]
        each = [detection(row, wanted, low, limit) for row in predicted]
        for name in each[0]:
            found[f"{aspect}_low_{name}"] = over_seeds(np.array([one[name] for one in each]))
        found[f"{aspect}_pcc_ensemble"] = over_seeds(pcc(together, wanted)[None])
        found[f"{aspect}_mse_ensemble"] = over_seeds(mse(together, wanted)[None])
    return found


def _interval(scored: Scored, aspect: str, samples: int) -> dict[str, float | None]:
    places, count = speaker_places(scored.found, aspect)
    sums = intervals.moments(scored.predictions[aspect], scored.found.labels[aspect], places, count)
    drawn = intervals.draw(count, samples, 0)
    low, high = intervals.interval(intervals.sample(intervals.pcc_of, sums, drawn))
    return {"low": low, "high": high}


def write_classes(folder: Path, scored: Scored) -> None:
    """Write ``classes.tsv``: errors for each class of the label, mean and std over seeds."""
    columns = ("aspect", "score", "count", "mse", "mse_std", "mae", "mae_std", "mean_prediction")
    rows = []
    for aspect in scored.scored():
        for error in class_errors(scored.predictions[aspect], scored.found.labels[aspect]):
            cells = [_cell(error.score), str(error.count)]
            for values in (error.mse, error.mae):
                std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
                cells += [_cell(float(values.mean())), _cell(std)]
            rows.append([aspect, *cells, _cell(float(error.mean.mean()))])
    write_tsv(folder / CLASSES, columns, rows)


def write_worst(folder: Path, scored: Scored) -> None:
    """Write ``worst.tsv``: the utterances whose scores are furthest off.

    By the mean absolute error of all utterance scores (of words or phones where utterances
    are not scored) of the mean prediction.
    """
    found, overall = scored.found, utterance_errors(scored)
    aspects = [a for a in scored.scored() if a.startswith("utterance_")]
    order = [int(u) for u in np.argsort(-overall, kind="stable") if np.isfinite(overall[u])]
    rows = []
    for rank, u in enumerate(order[:LISTED], 1):
        words = " ".join(found.texts[int(found.first_word[u]) : int(found.first_word[u + 1])])
        row = [str(rank), found.utterances[u], found.speakers[u], _cell(float(overall[u])), words]
        for aspect in aspects:
            values = (found.labels[aspect][u], scored.predictions[aspect].mean(axis=0)[u])
            row += [_cell(float(value)) for value in values]
        rows.append(row)
    pairs = [name for a in aspects for name in (a, f"{a}_mean")]
    write_tsv(folder / WORST, ("rank", "utt", "speaker", "error", "text", *pairs), rows)


def utterance_errors(scored: Scored) -> np.ndarray:
    """Mean absolute error of each utterance ``[U]``, of the highest level that is scored."""
    found = scored.found
    starts = {
        "utterance": np.arange(len(found.utterances) + 1),
        "word": found.first_word,
        "phone": found.first,
    }
    for level, first in starts.items():
        aspects = [a for a in scored.scored() if a.startswith(f"{level}_")]
        if aspects:
            off = [scored.predictions[a].mean(axis=0) - found.labels[a] for a in aspects]
            errors = np.abs(np.stack(off))
            return np.array([_mean(errors[:, a:b]) for a, b in pairwise(first)])
    return np.full(len(found.utterances), np.nan)


def _mean(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan


def count_rows(scored: Scored) -> dict[str, dict[str, Any]]:
    """How much was scored, in the form of the summary."""
    found, n = scored.found, len(scored.seeds)
    counts: Sequence[tuple[str, int]] = (
        ("utterances", len(found.utterances)),
        ("words", len(found.texts)),
        ("phones", len(found.phones)),
        ("speakers", len(set(found.speakers))),
        ("utterances_skipped", len(found.skipped)),
    )
    return {name: {"mean": value, "std": None, "n": n} for name, value in counts}
