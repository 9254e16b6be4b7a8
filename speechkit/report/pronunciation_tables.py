"""Tables of pronunciation: results as in the paper, beside the paper's own, and the tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechkit.pronunciation import paper
from speechkit.pronunciation.paper import MEASURES, average_weights
from speechkit.report import tables as shared
from speechkit.report.elements import Cell, Table, figure, spread, with_interval
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import (
    Columns,
    Experiment,
    Found,
    alike,
    arms,
    differences_to_paper,
    reference,
)
from speechkit.report.reader import corpus
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

_ABBREVIATIONS = "Acc is accuracy, Comp completeness."
_CONSTANT = (
    " Completeness hardly varies (nearly all labels are the highest): its PCC rests on a handful "
    "of utterances."
)


def _cell(evaluation: Evaluation, measure: str, base: Evaluation | None) -> Cell:
    """With its interval; bold if it is better than the baseline by the spread."""
    found = evaluation.value(measure)
    other = base.value(measure) if base is not None else None
    better = False
    if found and other and found[1] is not None and other[1] is not None:
        gain = (other[0] - found[0]) if measure.endswith("_mse") else (found[0] - other[0])
        better = gain > found[1] + other[1]
    return with_interval(evaluation.summary.get(measure), strong=better)


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
        title="Seeds averaged",
    )


def paired_differences(workdir: WorkDir, name: str, order: Sequence[str]) -> list[Table]:
    """Differences to a baseline, of every comparison on a set."""

    def heads(there: list[str]) -> tuple[dict[str, str], list[tuple[str, int]]]:
        columns = Columns(tuple(m for m in MEASURES if m in there) or MEASURES)
        return dict(zip(columns.measures, columns.heads, strict=True)), columns.groups

    return shared.score_differences(
        workdir, "pronunciation", name, order, heads, "item", lambda _: (3, 2)
    )


def beside_paper(workdir: WorkDir, found: Found, any_corpus: bool = False) -> Table | None:
    """Each experiment with a counterpart in Tables 1 and 2, the published row below it, and
    experiments with other settings.

    None for other corpora, unless ``any_corpus``, or without a counterpart.
    """
    every = [one for one, _ in found]
    main, names = reference(every), {one.name for one in arms(every)}
    pairs: list[tuple[Experiment, Evaluation, PublishedRow, bool]] = []
    for one, evaluation in found:
        row = paper.find(one.setting("model"), one.setting("loss"))
        alone = main is not None and bool(one.otherwise(main)) and one.features == main.features
        if row is not None and (one.name in names or alone):
            pairs.append((one, evaluation, row, one.name in names))
    if not pairs or not (any_corpus or corpus(workdir, pairs[0][1].set) == paper.CORPUS):
        return None
    said, texts = shared.comparable([differences_to_paper(workdir, *pair[:3]) for pair in pairs])
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
        dense=False,
    )
