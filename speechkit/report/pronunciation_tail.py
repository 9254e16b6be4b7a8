"""Tables of the tail of pronunciation: extreme scores, errors by score class, low scores found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from speechkit.labels.scores import ASPECTS
from speechkit.pronunciation import paper
from speechkit.report import tables as shared
from speechkit.report.elements import NOTHING, Cell, Table, figure, spread
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import Found, by_level
from speechkit.report.reader import corpus
from speechkit.stats.score_metrics import over_seeds
from speechkit.workdir import WorkDir


def extremes(workdir: WorkDir, found: Found) -> Table | None:
    """Sections 5.1 and 5.3: the lowest predictions of the rarest low scores, and how many times the
    correlation of the worst aspect goes into that of the best; None without such scores.

    The lowest prediction is that of each seed, the mean over seeds and their spread; below it the
    label of the utterance or word with the lowest of all.
    """
    rare = [a for a in paper.LOWEST if any(f"{a}_mse" in e.summary for _, e in found)]
    if not rare:
        return None
    rows = [
        [one.name, *(_lowest(e, aspect) for aspect in rare), *_best_and_worst(_correlations(e))]
        for one, e in found
    ]
    if corpus(workdir, found[0][1].set) == paper.CORPUS:
        rows += [
            [
                Cell(row.name, under=("published",)),
                *(figure(values.get(row.config.loss), 2) for values in paper.LOWEST.values()),
                *_best_and_worst({m: v[0] for m, v in row.values.items() if m.endswith("_pcc")}),
            ]
            for loss in ("mse", "sb-num")
            if (row := paper.find("gopt", loss))
        ]
    return Table(
        ["experiment", *(aspect.replace("_", " ") for aspect in rare), "best", "worst", "ratio"],
        rows,
        "Lowest prediction of a seed, from 0 to 2 (section 5.3 of the paper), and the label of the "
        "item that has the lowest of all. Best and worst aspect by PCC, and their ratio (section "
        "5.1); the paper's text says 5 and 1.7, prosody to completeness in both rows.",
        groups=[("", 1), ("lowest prediction", len(rare)), ("aspects by PCC", 3)],
        title="Lowest predictions, best and worst aspect",
    )


def _lowest(evaluation: Evaluation, aspect: str) -> Cell:
    if evaluation.value(f"{aspect}_mse") is None:
        return NOTHING
    labels, predicted = evaluation.scores(aspect)
    lowest = over_seeds(predicted.min(axis=1))
    cell = spread((lowest["mean"], lowest["std"]))
    label = labels[np.unravel_index(predicted.argmin(), predicted.shape)[1]]
    return Cell(cell.text, True, under=[*cell.under, f"label {label:.1f}"])


def _correlations(evaluation: Evaluation) -> dict[str, float]:
    found = {f"{a}_pcc": evaluation.value(f"{a}_pcc") for a in ASPECTS}
    return {name: value[0] for name, value in found.items() if value}


def _best_and_worst(correlations: Mapping[str, float]) -> list[Cell]:
    """The two extreme aspects with their correlations, and their ratio where both are positive."""
    if not correlations:
        return [NOTHING] * 3
    ends = [pick(correlations, key=correlations.__getitem__) for pick in (max, min)]
    best, worst = (correlations[name] for name in ends)
    named = [name.removesuffix("_pcc").replace("_", " ") for name in ends]
    cells = [
        Cell(figure(value).text, True, under=(name,))
        for value, name in zip((best, worst), named, strict=True)
    ]
    return [*cells, figure(best / worst if worst > 0 else None, 1)]


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
        groups=[("", 1), *by_level(aspects)],
        title="Errors by score class, averaged",
    )


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
