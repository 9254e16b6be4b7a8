"""Tables of pronunciation: like the paper's, beside the paper's, by features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechkit.manifest import read_json, read_manifest
from speechkit.pronunciation import published
from speechkit.pronunciation.published import MEASURES, Row
from speechkit.pronunciation.weights import average_weights
from speechkit.report.cells import difference, number, spread
from speechkit.report.model import Cell, Table
from speechkit.report.pronunciation_experiments import Evaluation, Experiment, main_features
from speechkit.report.reading import corpus
from speechkit.workdir import WorkDir

Found = Sequence[tuple[Experiment, Evaluation]]

HEADS = ("MSE", "PCC", "Acc", "Stress", "Total", "Acc", "Comp", "Fluency", "Prosody", "Total")
GROUPS = (("phone accuracy", 2), ("word (PCC)", 3), ("utterance (PCC)", 5))
_ABBREVIATIONS = "Acc is accuracy, Comp completeness."


def _measures(evaluation: Evaluation) -> list[Cell]:
    """The ten columns of Table 1."""
    return [spread(evaluation.value(measure), 3) for measure in MEASURES]


def _cell(evaluation: Evaluation, measure: str, base: Evaluation | None) -> Cell:
    """With its interval; bold if it is better than the baseline by the spread."""
    found = evaluation.value(measure)
    shown = spread(found, 3)
    low, high = (evaluation.summary.get(measure, {}).get(end) for end in ("low", "high"))
    if low is not None and high is not None:
        interval = f"[{number(low)}, {number(high)}]"
        shown = Cell(shown.text, True, under=(*shown.under, interval))
    other = base.value(measure) if base is not None else None
    if found is None or other is None or found[1] is None or other[1] is None:
        return shown
    gain = (other[0] - found[0]) if measure.endswith("_mse") else (found[0] - other[0])
    return Cell(shown.text, True, gain > found[1] + other[1], shown.under)


def results(found: Found) -> list[Table]:
    """Table 1 of our own experiments on the main features; others by features."""
    chosen = main_features([one for one, _ in found])
    main = [(one, e) for one, e in found if one.features == chosen]
    base = next((e for one, e in main if (one.setting("model"), one.loss) == ("gopt", "mse")), None)
    tables = [
        Table(
            ["experiment", *HEADS, "seeds"],
            [
                [_named(one), *(_cell(e, m, base) for m in MEASURES), _seeds(one, e)]
                for one, e in main
            ],
            f"As Table 1 of the paper. Features: {chosen or 'not known'}. {_ABBREVIATIONS} ±: "
            "standard deviation over seeds. Bold: better than GOPT with MSE by more than both "
            "standard deviations together. Completeness hardly varies (nearly all labels are the "
            "highest): its PCC rests on a handful of utterances.",
            groups=[("", 1), *GROUPS, ("", 1)],
            dense=True,
            title="Losses",
        )
    ]
    plain = [(one, e) for one, e in found if (one.setting("model"), one.loss) == ("gopt", "mse")]
    if len({one.features for one, _ in plain}) > 1:
        tables.append(_by_features(plain))
    ensembles = [(one, e) for one, e in found if e.value(f"{MEASURES[1]}_ensemble") is not None]
    if ensembles:
        tables.append(_ensembles(ensembles))
    return tables


def _named(one: Experiment) -> Cell:
    """An experiment with its model and loss."""
    kind = ", ".join(part for part in (str(one.setting("model")), one.loss) if part)
    return Cell(one.name, under=(kind,) if kind else ())


def _seeds(one: Experiment, evaluation: Evaluation) -> int | None:
    measured = evaluation.summary.get(MEASURES[1], {}).get("n")
    return int(measured) if measured else len(one.seeds) or None


def _by_features(found: Found) -> Table:
    """What each block of features brings, with the same model and loss."""
    ordered = sorted(found, key=lambda pair: (_columns(pair[0]), pair[0].features))
    return Table(
        ["features", "columns", *HEADS],
        [
            [Cell(one.features, under=(one.name,)), _columns(one) or None, *_measures(evaluation)]
            for one, evaluation in ordered
        ],
        "GOPT trained with MSE on different features. The TDNN has learned from this corpus's "
        "training speakers, sphinx from other speech.",
        groups=[("", 2), *GROUPS],
        dense=True,
        title="Features",
    )


def _columns(one: Experiment) -> int:
    return int((one.card.get("network") or {}).get("inputs", 0))


def _ensembles(found: Found) -> Table:
    def cells(evaluation: Evaluation) -> list[Cell]:
        values = [evaluation.value(f"{measure}_ensemble") for measure in MEASURES]
        return [Cell("-" if v is None else number(v[0], 3), True) for v in values]

    return Table(
        ["experiment", *HEADS],
        [[one.name, *cells(evaluation)] for one, evaluation in found],
        "The mean of the predictions of all seeds, as one system.",
        groups=[("", 1), *GROUPS],
        dense=True,
        title="Seeds averaged",
    )


def beside_paper(workdir: WorkDir, found: Found) -> Table | None:
    """Each experiment with a counterpart in Tables 1 and 2, the published row below it."""
    chosen = main_features([one for one, _ in found])
    pairs = []
    for one, evaluation in found:
        row = published.find(one.setting("model"), one.setting("loss"))
        beta = one.setting("beta", published.BETA)
        other_beta = str(one.setting("loss")) in ("sb-num", "sb-label") and beta != published.BETA
        if row is not None and not other_beta and one.features == chosen:
            pairs.append((one, evaluation, row, differences(workdir, one, evaluation)))
    if not pairs:
        return None
    common = [why for why in pairs[0][3] if all(why in reasons for *_, reasons in pairs)]
    rows: list[list[Any]] = []
    for one, evaluation, row, reasons in pairs:
        own = [why for why in reasons if why not in common]
        rows.append(
            [one.name, *_measures(evaluation), "; ".join(["no"] * bool(common) + own) or "yes"]
        )
        rows.append([_published(row), *_paper(row), ""])
    rows += [[_published(row), *_paper(row), ""] for row in published.OTHERS]
    return Table(
        ["experiment", *HEADS, "comparable?"],
        rows,
        (f"Not comparable: ours are {', '.join(common)}. " if common else "")
        + f"Paper: {published.SOURCE}; five runs, 2,500 training and 2,500 test utterances. Below: "
        "other systems as their authors published them, on the same official test set.",
        groups=[("", 1), *GROUPS, ("", 1)],
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


def paired_differences(workdir: WorkDir, name: str, order: Sequence[str]) -> list[Table]:
    """Differences to a baseline, of every comparison on a set.

    Args:
        workdir: the working directory.
        name: the set.
        order: of the experiments.
    """
    found = []
    for path in sorted(workdir.exp("compare", "pronunciation").glob("[!.]*/summary.json")):
        summary = read_json(path)
        params = (read_manifest(path.parent) or {}).get("params", {})
        if isinstance(summary, dict) and params.get("set") == name:
            found.append(_differences(summary, order))
    return found


def _differences(summary: dict[str, Any], order: Sequence[str]) -> Table:
    there = summary["experiments"]
    names = [*(name for name in order if name in there), *(n for n in there if n not in order)]
    rows = [
        [
            name,
            *(
                difference(there[name].get(measure), measure.endswith("_mse"), digits=3)
                for measure in MEASURES
            ),
        ]
        for name in names
    ]
    return Table(
        ["experiment", *HEADS],
        rows,
        "Paired by item and seed. In brackets the 95 % interval of a bootstrap over speakers "
        "(training is not resampled); ±: standard deviation of the difference over seeds. ▲ better,"
        " ▼ worse than the baseline: the interval excludes 0, which one in twenty does by chance.",
        groups=[("", 1), *GROUPS],
        dense=True,
        title=f"Differences to '{summary['baseline']}'",
    )


def ablation(found: Found) -> Table | None:
    """Table 2: the class of the prediction against that of the label; None without both."""
    chosen = main_features([one for one, _ in found])
    kinds = {"sb-num": "of the prediction (SB_num)", "sb-label": "of the label"}
    of_label = {one.setting("beta") for one, _ in found if one.setting("loss") == "sb-label"}
    rows = [
        [kinds[loss], Cell(f"{one.setting('beta'):g}", True), *_measures(evaluation)]
        for loss in ("sb-label", "sb-num")
        for one, evaluation in found
        if one.setting("loss") == loss
        and one.features == chosen
        and one.setting("beta") in of_label
    ]
    if len({row[0] for row in rows}) < 2:
        return None
    return Table(
        ["weight by the class", "β", *HEADS],
        rows,
        "As Table 2 of the paper.",
        groups=[("", 2), *GROUPS],
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
