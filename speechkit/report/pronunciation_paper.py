"""Tables of pronunciation that stand beside the paper's: its Tables 1, 2 and 3."""

from __future__ import annotations

from typing import Any

from speechkit.pronunciation import published
from speechkit.pronunciation.published import MEASURES, Row
from speechkit.pronunciation.weights import average_weights
from speechkit.report.cells import number, spread
from speechkit.report.model import Cell, Table
from speechkit.report.pronunciation_experiments import (
    Evaluation,
    Experiment,
    alike,
    arms,
    reference,
)
from speechkit.report.pronunciation_tables import Columns, Found
from speechkit.report.reader import corpus
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest


def beside_paper(workdir: WorkDir, found: Found) -> Table | None:
    """Each experiment with a counterpart in Tables 1 and 2, the published row below it, and
    experiments with other settings.

    None for other corpora, or without a counterpart.
    """
    every = [one for one, _ in found]
    main, names = reference(every), {one.name for one in arms(every)}
    pairs: list[tuple[Experiment, Evaluation, Row | None, list[str]]] = []
    for one, evaluation in found:
        row = published.find(one.setting("model"), one.setting("loss"))
        other = one.otherwise(main) if main is not None else []
        if one.name in names and row is not None:
            pairs.append((one, evaluation, row, differences(workdir, one, evaluation)))
        elif other and main is not None and one.features == main.features:
            beside = [setting for setting in other if not setting.startswith("epochs ")]
            reasons = [*differences(workdir, one, evaluation)]
            reasons += [f"with {', '.join(beside)}"] if beside else []
            pairs.append((one, evaluation, None, reasons))
    if not pairs or corpus(workdir, pairs[0][1].set) != published.CORPUS:
        return None
    columns = Columns()
    common = [why for why in pairs[0][3] if all(why in reasons for *_, reasons in pairs)]
    rows: list[list[Any]] = []
    for one, evaluation, row, reasons in pairs:
        own = [why for why in reasons if why not in common]
        rows.append(
            [one.name, *columns.cells(evaluation), "; ".join(["no"] * bool(common) + own) or "yes"]
        )
        rows += [[_published(row), *_paper(row), ""]] if row is not None else []
    rows += [[_published(row), *_paper(row), ""] for row in published.OTHERS]
    return Table(
        ["experiment", *columns.heads, "comparable?"],
        rows,
        (f"Not comparable: ours are {', '.join(common)}. " if common else "")
        + f"Paper: {published.SOURCE}; five runs, 2,500 training and 2,500 test utterances. Below: "
        "other systems as their authors published them, on the same official test set.",
        groups=[("", 1), *columns.groups, ("", 1)],
        dense=True,
        title="Beside the paper",
    )


def _published(row: Row) -> Cell:
    where = f"published, Table{'s' * (',' in row.table)} {row.table}" if row.table else "published"
    return Cell(row.name, under=(where,))


def _paper(row: Row) -> list[Cell]:
    return [spread(row.values.get(measure), 3) for measure in MEASURES]


def differences(workdir: WorkDir, one: Experiment, evaluation: Evaluation) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared.

    Args:
        workdir: the working directory.
        one: our experiment.
        evaluation: of it.
    """
    reasons = []
    for what, name, theirs in (
        ("tested", evaluation.set, published.TEST_UTTERANCES),
        ("trained", str(one.setting("set_name", "")), published.TRAIN_UTTERANCES),
    ):
        prepared = corpus(workdir, name)
        counts = (read_manifest(workdir.root / "data" / name) or {}).get("counts", {})
        if prepared != published.CORPUS:
            reasons.append(f"{what} on {prepared or 'unknown data'}")
        elif counts.get("utterances") != theirs:
            reasons.append(f"{what} on {counts.get('utterances', '?')} utterances, not {theirs:,}")
    methods = {str(part.get("method", "imported")) for part in one.card.get("features", ())}
    if methods != {"imported"}:
        reasons.append(f"on other features ({one.features})")
    epochs = one.setting("epochs", published.EPOCHS)
    if epochs != published.EPOCHS:
        reasons.append(f"after {epochs} epoch{'s' * (epochs != 1)}, not {published.EPOCHS}")
    if one.seeds and len(one.seeds) != published.SEEDS:
        reasons.append(
            f"of {len(one.seeds)} seed{'s' * (len(one.seeds) > 1)}, not {published.SEEDS}"
        )
    return reasons


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
            [label, *(Cell(number(value, 4), True) for value in row)]
            for label, row in zip(labels, values, strict=True)
        ],
        f"As Table 3 of the paper: (1 − β) / (1 − β^n) of phone accuracy in '{name}', averaged "
        "over its 11 classes. The published values are those with a twelfth, empty class, whose "
        "weight is 1.",
        title="Weights by β",
    )
