"""Tables of pronunciation that stand beside the paper's: its Tables 1, 2 and 3."""

from __future__ import annotations

from typing import Any

from speechkit.pronunciation import paper
from speechkit.pronunciation.paper import MEASURES, average_weights
from speechkit.report.cells import figure, spread
from speechkit.report.elements import Cell, Table
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import (
    Experiment,
    Found,
    alike,
    arms,
    differences_to_paper,
    reference,
)
from speechkit.report.pronunciation_tables import Columns
from speechkit.report.reader import corpus
from speechkit.report.tables import comparable
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir


def beside_paper(workdir: WorkDir, found: Found) -> Table | None:
    """Each experiment with a counterpart in Tables 1 and 2, the published row below it, and
    experiments with other settings.

    None for other corpora, or without a counterpart.
    """
    every = [one for one, _ in found]
    main, names = reference(every), {one.name for one in arms(every)}
    pairs: list[tuple[Experiment, Evaluation, PublishedRow, bool]] = []
    for one, evaluation in found:
        row = paper.find(one.setting("model"), one.setting("loss"))
        alone = main is not None and bool(one.otherwise(main)) and one.features == main.features
        if row is not None and (one.name in names or alone):
            pairs.append((one, evaluation, row, one.name in names))
    if not pairs or corpus(workdir, pairs[0][1].set) != paper.CORPUS:
        return None
    said, texts = comparable([differences_to_paper(workdir, *pair[:3]) for pair in pairs])
    columns = Columns()
    rows: list[list[Any]] = []
    for (one, evaluation, row, below), text in zip(pairs, texts, strict=True):
        rows.append([one.name, *columns.cells(evaluation), text])
        rows += [[_published(row), *_paper(row), ""]] if below else []
    rows += [[_published(row), *_paper(row), ""] for row in paper.OTHERS]
    return Table(
        ["experiment", *columns.heads, "comparable?"],
        rows,
        f"{said}Paper: {paper.SOURCE}; five runs, 2,500 training and 2,500 test utterances. Below: "
        "other systems as their authors published them, on the same official test set.",
        groups=[("", 1), *columns.groups, ("", 1)],
        dense=True,
        title="Beside the paper",
    )


def _published(row: PublishedRow) -> Cell:
    where = f"published, Table{'s' * (',' in row.table)} {row.table}" if row.table else "published"
    return Cell(row.name, under=(where,))


def _paper(row: PublishedRow) -> list[Cell]:
    return [spread(row.values.get(measure), 3) for measure in MEASURES]


def ablation(found: Found) -> Table | None:
    """Table 2: the class of the prediction against that of the label; None without both."""
    names = {one.name for one in alike([one for one, _ in found])}
    kinds = {"sb-num": "of the prediction (SB_num)", "sb-label": "of the label"}
    columns = Columns.of(found)
    of_label = {one.setting("beta") for one, _ in found if one.setting("loss") == "sb-label"}
    rows = [
        [kinds[loss], Cell(f"{one.setting('beta'):g}", True), *columns.cells(evaluation)]
        for loss in ("sb-label", "sb-num")
        for one, evaluation in found
        if one.setting("loss") == loss and one.name in names and one.setting("beta") in of_label
    ]
    if len({row[0] for row in rows}) < 2:
        return None
    return Table(
        ["weight by the class", "β", *columns.heads],
        rows,
        "As Table 2 of the paper.",
        groups=[("", 2), *columns.groups],
        dense=True,
        title="Class of the prediction or of the label",
    )


def weights_by_beta(workdir: WorkDir, found: Found) -> Table | None:
    """Table 3: average weight over the classes of phone accuracy; None without such a loss."""
    trained = [one for one, _ in found if str(one.setting("loss")) in ("sb-num", "sb-label")]
    if not trained:
        return None
    name = str(trained[0].setting("set_name"))
    rows = zip(*average_weights(workdir, name), strict=True)
    betas, *values = rows
    labels = ("average over the classes", "and an empty class more", "paper")
    return Table(
        ["β", *(f"{beta:g}" for beta in betas)],
        [
            [label, *(figure(value, 4) for value in row)]
            for label, row in zip(labels, values, strict=True)
        ],
        f"As Table 3 of the paper: (1 − β) / (1 − β^n) of phone accuracy in '{name}', averaged "
        "over its 11 classes. The published values are those with a twelfth, empty class, whose "
        "weight is 1.",
        title="Weights by β",
    )
