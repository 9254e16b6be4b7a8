"""Tables of pronunciation: results as in the paper's Table 1, features, differences, the tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from speechkit.labels.scores import ASPECTS
from speechkit.pronunciation.paper import MEASURES
from speechkit.report import tables as shared
from speechkit.report.cells import figure, number, spread, with_interval
from speechkit.report.elements import Cell, Table
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import Experiment, Found, alike, reference
from speechkit.workdir import WorkDir

_HEADS = ("MSE", "PCC", "Acc", "Stress", "Total", "Acc", "Comp", "Fluency", "Prosody", "Total")
_LEVELS = {"phone": "phone accuracy", "word": "word (PCC)", "utterance": "utterance (PCC)"}
_ABBREVIATIONS = "Acc is accuracy, Comp completeness."
_CONSTANT = (
    " Completeness hardly varies (nearly all labels are the highest): its PCC rests on a handful "
    "of utterances."
)


@dataclass(frozen=True)
class Columns:
    """The columns of Table 1, or those of them that a corpus has scores for."""

    measures: tuple[str, ...] = MEASURES

    @classmethod
    def of(cls, found: Found) -> Columns:
        """What was measured in any evaluation."""
        there = [m for m in MEASURES if any(m in e.summary for _, e in found)]
        return cls(tuple(there) or MEASURES)

    @property
    def heads(self) -> list[str]:
        """Titles, as short as the paper's."""
        return [_HEADS[MEASURES.index(measure)] for measure in self.measures]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Of the header above."""
        levels = [measure.partition("_")[0] for measure in self.measures]
        return [(_LEVELS[level], levels.count(level)) for level in dict.fromkeys(levels)]

    def cells(self, evaluation: Evaluation) -> list[Cell]:
        """Mean and standard deviation of each."""
        return [spread(evaluation.value(measure), 3) for measure in self.measures]


def _cell(evaluation: Evaluation, measure: str, base: Evaluation | None) -> Cell:
    """With its interval; bold if it is better than the baseline by the spread."""
    found = evaluation.value(measure)
    other = base.value(measure) if base is not None else None
    better = False
    if found and other and found[1] is not None and other[1] is not None:
        gain = (other[0] - found[0]) if measure.endswith("_mse") else (found[0] - other[0])
        better = gain > found[1] + other[1]
    return with_interval(evaluation.summary.get(measure, {}), strong=better)


def results(found: Found) -> list[Table]:
    """Our own experiments on the commonest features as in Table 1; by features; seeds averaged."""
    every = [one for one, _ in found]
    main = reference(every)
    chosen = main.features if main else ""
    compared = {one.name for one in alike(every)}
    plain = [(one, e) for one, e in found if (one.setting("model"), one.loss) == ("gopt", "mse")]
    base = next((e for one, e in plain if one.name in compared), None)
    columns = Columns.of(found)
    scored = "utterance_completeness_pcc" in columns.measures
    tables = [
        Table(
            ["experiment", *columns.heads, "seeds"],
            [
                [_named(one, main), *(_cell(e, m, base) for m in columns.measures), _seeds(one, e)]
                for one, e in found
                if one.features == chosen
            ],
            f"As Table 1 of the paper. Features: {chosen or 'not known'}. {_ABBREVIATIONS} ±: "
            "standard deviation over seeds. Bold: better than GOPT with MSE by more than both "
            "standard deviations together." + _CONSTANT * scored,
            groups=[("", 1), *columns.groups, ("", 1)],
            dense=True,
            title="Results",
        )
    ]
    plain = [(one, e) for one, e in plain if main and not one.otherwise(main)]
    if len({one.features for one, _ in plain}) > 1:
        tables.append(_by_features(plain))
    ensembles = [
        (one, e)
        for one, e in found
        if any(e.value(f"{measure}_ensemble") is not None for measure in columns.measures)
    ]
    if ensembles:
        tables.append(_ensembles(ensembles))
    return tables


def _named(one: Experiment, main: Experiment | None) -> Cell:
    """An experiment with its model and loss, and in what else it differs from most others."""
    kind = ", ".join(part for part in (str(one.setting("model")), one.loss) if part)
    other = one.otherwise(main) if main is not None else []
    return Cell(one.name, under=[line for line in (kind, *other) if line])


def _seeds(one: Experiment, evaluation: Evaluation) -> int | None:
    measured = [m["n"] for name in MEASURES if (m := evaluation.summary.get(name))]
    return max(measured, default=0) or len(one.seeds) or None


def _by_features(found: Found) -> Table:
    """What each block of features brings, with the same model and loss."""
    columns = Columns.of(found)
    ordered = sorted(found, key=lambda pair: (_columns(pair[0]), pair[0].features))
    return Table(
        ["features", "columns", *columns.heads],
        [
            [Cell(one.features, under=(one.name,)), _columns(one) or None, *columns.cells(e)]
            for one, e in ordered
        ],
        "GOPT trained with MSE on different features. The TDNN has learned from this corpus's "
        "training speakers, sphinx from other speech.",
        groups=[("", 2), *columns.groups],
        dense=True,
        title="Features",
    )


def _columns(one: Experiment) -> int:
    return int(one.network.get("inputs", 0))


def _ensembles(found: Found) -> Table:
    columns = Columns.of(found)

    def cells(evaluation: Evaluation) -> list[Cell]:
        values = [evaluation.value(f"{measure}_ensemble") for measure in columns.measures]
        return [figure(v and v[0]) for v in values]

    return Table(
        ["experiment", *columns.heads],
        [[one.name, *cells(evaluation)] for one, evaluation in found],
        "The mean of the predictions of all seeds, as one system.",
        groups=[("", 1), *columns.groups],
        dense=True,
        title="Seeds averaged",
    )


def paired_differences(workdir: WorkDir, name: str, order: Sequence[str]) -> list[Table]:
    """Differences to a baseline, of every comparison on a set.

    Args:
        workdir: the working directory.
        name: the set.
        order: of the experiments.
    """

    def heads(there: list[str]) -> tuple[dict[str, str], list[tuple[str, int]]]:
        columns = Columns(tuple(m for m in MEASURES if m in there) or MEASURES)
        return dict(zip(columns.measures, columns.heads, strict=True)), columns.groups

    return shared.score_differences(
        workdir, "pronunciation", name, order, heads, "item", lambda _: (3, 2)
    )


def detection(found: Found) -> Table | None:
    """How well low scores are found; None where nothing is low."""
    aspects = [
        aspect
        for aspect in ("phone_accuracy", "word_accuracy", "word_stress", "utterance_accuracy")
        if any(e.value(f"{aspect}_low_recall") is not None for _, e in found)
    ]
    if not aspects:
        return None
    kinds = ("recall", "precision", "auc")
    rows = [
        [one.name, *(spread(e.value(f"{a}_low_{kind}"), 3) for a in aspects for kind in kinds)]
        for one, e in found
    ]
    counts = [(a, next(v for _, e in found if (v := e.value(f"{a}_low_count")))) for a in aspects]
    listed = ", ".join(f"{aspect.replace('_', ' ')} {count[0]:g}" for aspect, count in counts)
    return Table(
        ["experiment", *("recall", "precision", "AUC") * len(aspects)],
        rows,
        "Low: phones scored 0.5 or less, words and utterances 1 or less, of 2. An item is called "
        "low where its prediction is at most a threshold that was chosen on the training set (by "
        f"F1). AUC needs no threshold; 0.5 is chance. Low ones here: {listed}.",
        groups=[("", 1), *((aspect.replace("_", " "), 3) for aspect in aspects)],
        dense=True,
        title="Low scores found",
    )


def macro_errors(found: Found) -> Table:
    """Mean absolute error averaged over the classes, so that rare scores count like others."""
    aspects = [a for a in ASPECTS if any(e.value(f"{a}_macro_mae") is not None for _, e in found)]
    return Table(
        ["experiment", *(aspect.partition("_")[2] for aspect in aspects)],
        [[one.name, *(spread(e.value(f"{a}_macro_mae"), 3) for a in aspects)] for one, e in found],
        "Mean absolute error of each score class (0, 0.2, ... 2), averaged over the classes that "
        "occur: the tail counts as much as the many highest scores.",
        groups=[("", 1), *_level_groups(aspects)],
        dense=True,
        title="Errors by score class, averaged",
    )


def _level_groups(aspects: Sequence[str]) -> list[tuple[str, int]]:
    levels = [aspect.partition("_")[0] for aspect in aspects]
    return [(level, levels.count(level)) for level in dict.fromkeys(levels)]


def classes(found: Found, aspects: Sequence[str]) -> Table | None:
    """Mean absolute error of every score class, one column an experiment; None without any."""
    places = {aspect: place for place, aspect in enumerate(ASPECTS)}
    last = ""

    def key(row: Mapping[str, str]) -> tuple[int, str, float] | None:
        aspect, score = row["aspect"], float(row["score"])
        return (places.get(aspect, len(places)), aspect, score) if aspect in aspects else None

    def head(at: tuple[int, str, float]) -> list[Any]:
        nonlocal last
        title, last = "" if at[1] == last else at[1].replace("_", " "), at[1]
        return [title, Cell(f"{at[2]:g}", True)]

    return shared.score_errors(
        {one.name: e for one, e in found},
        key,
        head,
        ["aspect", "score"],
        "Mean absolute error of the items with that label, and the mean prediction for them.",
        "Errors by score class",
    )


def worst(workdir: WorkDir, evaluation: Evaluation) -> Table | None:
    """A table with players of an evaluation's worst utterances; None where it lists none."""

    def pair(row: Mapping[str, str], aspect: str) -> Cell:
        label, prediction = row[aspect], row[f"{aspect}_mean"]
        shown = number(float(label), 1) if label else "-"
        return Cell(shown, True, under=(number(float(prediction)),) if prediction else ())

    def heads(first: Mapping[str, str]) -> dict[str, Any]:
        aspects = [aspect for aspect in ASPECTS if f"{aspect}_mean" in first]
        return {
            "error": lambda row: figure(float(row["error"]), 2),
            **{a.partition("_")[2]: partial(pair, aspect=a) for a in aspects},
        }

    return shared.worst_scored(
        workdir,
        evaluation,
        heads,
        "Error: mean over the scores of the utterance. Of each score the label, and the prediction "
        "below it, from 0 to 2.",
    )
