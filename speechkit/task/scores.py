"""Predicted scores as pronunciation and scoring write them: measures, tables, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.tables import trimmed, write_json, write_skipped
from speechkit.labels.scores import ASPECTS
from speechkit.stats import bootstrap
from speechkit.stats.score_metrics import ClassError
from speechkit.task import evaluation
from speechkit.task.evaluation import Comparison, ComparisonConfig, Summary
from speechkit.workdir import Output

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"phone": "phones.tsv", "word": "words.tsv", "utterance": "utterances.tsv"}
CLASSES, WORST = "classes.tsv", "worst.tsv"
CLASS_COLUMNS = ("score", "count", "mse", "mse_std", "mae", "mae_std", "mean_prediction")
LISTED = 20  # worst utterances
STATISTICS = {"pcc": bootstrap.pcc_of, "mse": bootstrap.mse_of}
_KEYS = {
    "phone": ["utt", "index", "phone"],
    "word": ["utt", "index", "word"],
    "utterance": ["utt"],
}
_TEXT = ["utt", "speaker", "word", "phone"]


def cell(value: float) -> str:
    """A score or a measure in a table."""
    return trimmed(float(value), 5)


def interval(
    statistic: bootstrap.Statistic,
    predictions: np.ndarray,
    labels: np.ndarray,
    speakers: Sequence[str] | np.ndarray,
    samples: int,
) -> dict[str, float | None]:
    """``low`` and ``high``: the 95 % interval over speakers of the mean over seeds.

    Args:
        statistic: of ``STATISTICS``.
        predictions: ``[S, n]``.
        labels: ``[n]``; NaN is left out.
        speakers: of each item ``[n]``.
        samples: of the bootstrap.
    """
    names, places = np.unique(speakers, return_inverse=True)
    sums = bootstrap.moments(predictions, labels, places, len(names))
    drawn = bootstrap.draw_speakers(len(names), samples, 0)
    low, high = bootstrap.interval(bootstrap.sample(statistic, sums, drawn))
    return {"low": low, "high": high}


def aspect_columns(aspect: str, seeds: Sequence[int]) -> list[str]:
    """Label, mean prediction, and prediction of each seed: columns of a table of a level."""
    return [aspect, f"{aspect}_mean", *(f"{aspect}_seed{seed}" for seed in seeds)]


def aspect_cells(labels: np.ndarray, predictions: np.ndarray) -> list[list[str]]:
    """The cells under :func:`aspect_columns`, a list for each column."""
    values = np.stack([labels, predictions.mean(axis=0), *predictions]).astype(np.float64)
    return [[cell(value) for value in column] for column in values]


def class_rows(errors: Sequence[ClassError]) -> list[list[str]]:
    """Rows of ``CLASS_COLUMNS``: errors for each class of the label, mean and std over seeds."""
    rows = []
    for error in errors:
        row = [cell(error.score), str(error.count)]
        for values in (error.mse, error.mae):
            std = values.std(ddof=1) if len(values) > 1 else np.nan
            row += [cell(values.mean()), cell(std)]
        rows.append([*row, cell(error.mean.mean())])
    return rows


def furthest(errors: np.ndarray) -> list[int]:
    """Places of the utterances with the largest errors ``[U]`` (NaN: not scored), at most 20."""
    order = np.argsort(-errors, kind="stable")
    return [int(place) for place in order if np.isfinite(errors[place])][:LISTED]


def count_rows(seeds: int, **counts: int) -> dict[str, dict[str, Any]]:
    """How much was scored, in the form of ``summary.json``."""
    return {name: {"mean": value, "std": None, "n": seeds} for name, value in counts.items()}


def write_summary(out: Output, data: Any, aspects: Sequence[str], summary: Summary) -> None:
    """Write ``summary.json`` and ``skipped.tsv``, and count; say what makes the numbers rough.

    Args:
        out: of the evaluation.
        data: the set (:class:`speechkit.phone_features.scored_set.PhoneSet`).
        aspects: that are scored.
        summary: of ``utterances`` and of what was measured.
    """
    evaluation.warn_few_speakers(data.name, len(set(data.speakers)))
    seeds = summary["utterances"]["n"]
    constant = [aspect for aspect in aspects if summary[f"{aspect}_pcc"]["n"] < seeds]
    if constant:
        logger.warning(
            f"Labels or predictions of {', '.join(constant)} do not vary: there is no "
            "correlation (of some seeds)."
        )
    write_json(out.path / evaluation.SUMMARY, summary)
    write_skipped(out.path, data.skipped)
    counts = {"utterances": len(data.utterances), "skipped": len(data.skipped)}
    out.counts.update(seeds=seeds, **counts)


def mean_std(value: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A measure of ``summary.json`` for people: mean ± standard deviation."""
    if not value or value["mean"] is None:
        return "-"
    spread = f" ±{value['std']:.{digits}f}" if value["std"] is not None else ""
    return f"{value['mean']:.{digits}f}{spread}"


def comparison_of(task: str, *levels: str) -> Comparison:
    """How experiments of a task are compared by the tables of some levels."""
    return Comparison(
        task,
        tuple(TABLES[level] for level in levels),
        ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "items"),
        "95 %, over speakers; the seeds are fixed",
    )


def read_table(folder: Path, level: str) -> pd.DataFrame:
    """A table of an evaluation; what was not scored is NaN.

    Args:
        folder: ``exp/pronunciation/<name>/eval/<set>``.
        level: phone, word or utterance.

    Raises:
        DataError: it is not there, or not such a table.
    """

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        for name in table.columns.difference(_TEXT):
            table[name] = evaluation.numbers(table[name])
        return table

    return evaluation.read_table(folder / TABLES[level], "evaluate pronunciation", convert)


def differences(folders: Mapping[str, Path], name: str, config: ComparisonConfig) -> dict[str, Any]:
    """Differences of one experiment to the baseline, by measure.

    Raises:
        UserError: they were evaluated on other items, or have no seed in common.
    """
    found: dict[str, Any] = {}
    for level, file in TABLES.items():
        pair = (folders[name], folders[config.baseline])
        if not all((folder / file).is_file() for folder in pair):
            continue
        own, base = (read_table(folder, level) for folder in pair)
        if not own[_KEYS[level]].equals(base[_KEYS[level]]):
            raise UserError(
                f"'{name}' and '{config.baseline}' were evaluated on different {level}s.",
                "The set was made again in between: evaluate both again.",
            )
        for aspect in ASPECTS:
            if aspect in own and aspect in base and own[aspect].notna().any():
                if not own[aspect].equals(base[aspect]):
                    raise UserError(
                        f"The scores of {aspect} differ between '{name}' and '{config.baseline}'.",
                        "The set was made again in between: evaluate both again.",
                    )
                measures = [f"{aspect}_{kind}" for kind in STATISTICS]
                if wanted := [m for m in measures if not config.measures or m in config.measures]:
                    found.update(_of_aspect(own, base, aspect, wanted, config))
    return found


def _of_aspect(
    own: pd.DataFrame,
    base: pd.DataFrame,
    aspect: str,
    measures: Sequence[str],
    config: ComparisonConfig,
) -> dict[str, Any]:
    """Value minus baseline of an aspect: mean of the common seeds, and its interval."""
    head = f"{aspect}_seed"
    seeds = [c for c in own.columns if c.startswith(head) and c in base.columns]
    if not seeds:
        raise UserError(
            f"The experiments have no seed of {aspect} in common.",
            "Train and evaluate the same seeds of both: differences are paired by seed.",
        )
    names, places = np.unique(own["speaker"].to_numpy(str), return_inverse=True)
    if aspect == ASPECTS[0]:
        evaluation.warn_few_speakers(config.set, len(names))
    labels = own[aspect].to_numpy(float)
    sums = [
        bootstrap.moments(t[seeds].to_numpy(float).T, labels, places, len(names))
        for t in (own, base)
    ]
    drawn = bootstrap.draw_speakers(len(names), config.samples, config.seed)
    return {
        measure: {
            **bootstrap.paired(STATISTICS[measure.rpartition("_")[2]], sums[0], sums[1], drawn),
            "items": int((~np.isnan(labels)).sum()),
        }
        for measure in measures
    }
