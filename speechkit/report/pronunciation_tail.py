"""Tables of the tail of pronunciation: errors by score class, and low scores that were found."""

from __future__ import annotations

from collections.abc import Sequence

from speechkit.labels.scores import ASPECTS
from speechkit.report.cells import number, spread
from speechkit.report.model import Cell, Table
from speechkit.report.pronunciation_experiments import Evaluation
from speechkit.report.pronunciation_tables import Found
from speechkit.report.reader import read_rows
from speechkit.task.scores import CLASSES


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
    read = [(one.name, _classes(e)) for one, e in found]
    keys = sorted({key for _, rows in read for key in rows if key[0] in aspects}, key=_class_order)
    if not keys:
        return None
    table: list[list[object]] = []
    for place, (aspect, score) in enumerate(keys):
        own = [rows.get((aspect, score)) for _, rows in read]
        count = next(row["count"] for row in own if row is not None)
        cells = [_class_cell(row) for row in own]
        title = "" if place and keys[place - 1][0] == aspect else aspect.replace("_", " ")
        table.append([title, Cell(f"{score:g}", True), int(count), *cells])
    return Table(
        ["aspect", "score", "labels", *(name for name, _ in read)],
        table,
        "Mean absolute error of the items with that label, and the mean prediction for them.",
        dense=True,
        title="Errors by score class",
    )


def _class_order(key: tuple[str, float]) -> tuple[int, float]:
    return ASPECTS.index(key[0]) if key[0] in ASPECTS else len(ASPECTS), key[1]


def _class_cell(row: dict[str, float] | None) -> Cell:
    if row is None:
        return Cell("-", number=True)
    return Cell(number(row["mae"], 2), True, under=(f"predicted {number(row['mean_prediction'])}",))


def _classes(evaluation: Evaluation) -> dict[tuple[str, float], dict[str, float]]:
    path = evaluation.folder / CLASSES
    if not path.is_file():
        return {}
    return {
        (row["aspect"], float(row["score"])): {
            name: float(row[name]) for name in ("count", "mae", "mean_prediction")
        }
        for row in read_rows(path)
    }
