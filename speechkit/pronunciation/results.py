"""What ``evaluate pronunciation`` writes: a table for each level, errors by class, a summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.tables import write_tsv
from speechkit.phone_features.scored_set import ScoredSet
from speechkit.stats import bootstrap, score_metrics
from speechkit.stats.score_metrics import class_errors, mse, over_seeds, pcc
from speechkit.task import scores
from speechkit.task.scores import CLASSES, TABLES, WORST, cell

_FIXED = {
    "phone": ("utt", "speaker", "index", "word_index", "phone"),
    "word": ("utt", "speaker", "index", "word"),
    "utterance": ("utt", "speaker", "phones"),
}


@dataclass(frozen=True)
class Scored:
    """A set and what the models say of it.

    Args:
        data: the set.
        seeds: of the S models.
        predictions: aspect -> ``[S, n]``, from 0 to 2.
        thresholds: aspect -> up to which prediction an item is called low (mean of the
            models'); None where undefined.
    """

    data: ScoredSet
    seeds: list[int]
    predictions: dict[str, np.ndarray]
    thresholds: dict[str, float | None]

    def scored(self, level: str = "") -> list[str]:
        """Aspects (of a level) that are predicted and that the set has labels of."""
        labels = self.data.labels
        of_level = [a for a in self.predictions if a.startswith(level)]
        return [a for a in of_level if not np.isnan(labels[a]).all()]

    def first(self, level: str) -> np.ndarray:
        """First item of each utterance at a level, and the number of items ``[U + 1]``."""
        data = self.data
        whole = np.arange(len(data.utterances) + 1)
        return {"phone": data.first, "word": data.first_word}.get(level, whole)


def write_tables(folder: Path, scored: Scored) -> None:
    """Write ``phones.tsv``, ``words.tsv`` and ``utterances.tsv``: of each aspect the label
    (empty: not scored), ``<aspect>_mean`` over the seeds, and ``<aspect>_seed<N>``; and
    ``classes.tsv`` and ``worst.tsv``."""
    for level, name in TABLES.items():
        columns, cells = [*_FIXED[level]], []
        for aspect in (a for a in scored.predictions if a.startswith(f"{level}_")):
            columns += scores.aspect_columns(aspect, scored.seeds)
            cells += scores.aspect_cells(scored.data.labels[aspect], scored.predictions[aspect])
        if cells:
            rows = zip(_items(scored.data, level), zip(*cells, strict=True), strict=True)
            write_tsv(folder / name, columns, [[*item, *row] for item, row in rows])
    by_class = [
        [aspect, *row]
        for aspect in scored.scored()
        for row in scores.class_rows(
            class_errors(scored.predictions[aspect], scored.data.labels[aspect])
        )
    ]
    write_tsv(folder / CLASSES, ("aspect", *scores.CLASS_COLUMNS), by_class)
    _write_worst(folder, scored)


def _items(data: ScoredSet, level: str) -> Iterator[list[str]]:
    """The first columns of each line."""
    for u, (name, speaker) in enumerate(zip(data.utterances, data.speakers, strict=True)):
        first, last = int(data.first[u]), int(data.first[u + 1])
        word, end = int(data.first_word[u]), int(data.first_word[u + 1])
        if level == "utterance":
            yield [name, speaker, str(last - first)]
        elif level == "word":
            for k in range(word, end):
                yield [name, speaker, str(k - word), data.texts[k]]
        else:
            for k in range(first, last):
                of_word = str(int(data.words[k]) - word)
                yield [name, speaker, str(k - first), of_word, data.phones[k]]


def summarize(scored: Scored, samples: int) -> dict[str, dict[str, Any]]:
    """Flat measures: mean, standard deviation and number of seeds of each.

    Correlations also have ``low`` and ``high``, the 95 % interval of their mean over the
    speakers; names that end in ``_ensemble`` are of the mean prediction of all seeds.
    """
    summary: dict[str, dict[str, Any]] = {}
    labels = scored.data.labels
    for aspect in scored.scored():
        level = aspect.partition("_")[0]
        predicted, wanted = scored.predictions[aspect], labels[aspect].astype(np.float64)
        speakers = np.repeat(scored.data.speakers, np.diff(scored.first(level)))
        for name, values in score_metrics.measure({aspect: predicted}, labels).items():
            summary[name] = over_seeds(values)
        summary[f"{aspect}_pcc"].update(
            scores.interval(bootstrap.pcc_of, predicted, labels[aspect], speakers, samples)
        )
        errors = score_metrics.macro_mae(class_errors(predicted, wanted))
        summary[f"{aspect}_macro_mae"] = over_seeds(errors)
        limits = score_metrics.LOW[level], scored.thresholds.get(aspect)
        each = [score_metrics.detection(row, wanted, *limits) for row in predicted]
        for name in each[0]:
            summary[f"{aspect}_low_{name}"] = over_seeds(np.array([one[name] for one in each]))
        together = predicted.mean(axis=0)
        summary[f"{aspect}_pcc_ensemble"] = over_seeds(pcc(together, wanted)[None])
        summary[f"{aspect}_mse_ensemble"] = over_seeds(mse(together, wanted)[None])
    one = scored.data
    return summary | scores.count_rows(
        len(scored.seeds),
        utterances=len(one.utterances),
        words=len(one.texts),
        phones=len(one.phones),
        speakers=len(set(one.speakers)),
        utterances_skipped=len(one.skipped),
    )


def _write_worst(folder: Path, scored: Scored) -> None:
    """Write ``worst.tsv``: the utterances whose scores are furthest off.

    By the mean absolute error of all utterance scores (of words or phones where utterances
    are not scored) of the mean prediction.
    """
    data, overall = scored.data, utterance_errors(scored)
    aspects = scored.scored("utterance_")
    rows = []
    for rank, u in enumerate(scores.furthest(overall), 1):
        words = " ".join(data.texts[int(data.first_word[u]) : int(data.first_word[u + 1])])
        row = [str(rank), data.utterances[u], data.speakers[u], cell(overall[u]), words]
        for aspect in aspects:
            mean = scored.predictions[aspect].mean(axis=0)[u]
            row += [cell(data.labels[aspect][u]), cell(mean)]
        rows.append(row)
    pairs = [name for a in aspects for name in (a, f"{a}_mean")]
    write_tsv(folder / WORST, ("rank", "utt", "speaker", "error", "text", *pairs), rows)


def utterance_errors(scored: Scored) -> np.ndarray:
    """Mean absolute error of each utterance ``[U]``, of the highest level that is scored."""
    for level in ("utterance", "word", "phone"):
        if aspects := scored.scored(f"{level}_"):
            errors = np.abs(
                np.stack(
                    [scored.predictions[a].mean(axis=0) - scored.data.labels[a] for a in aspects]
                )
            )
            return np.array([_mean(errors[:, a:b]) for a, b in pairwise(scored.first(level))])
    return np.full(len(scored.data.utterances), np.nan)


def _mean(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else np.nan
