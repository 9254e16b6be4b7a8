"""Tables of pronunciation: results like the paper's, by features, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speechkit.pronunciation.paper import MEASURES
from speechkit.report import runs
from speechkit.report.cells import number, spread
from speechkit.report.model import Cell, Table
from speechkit.report.pronunciation_experiments import Evaluation, Experiment, alike, reference
from speechkit.workdir import WorkDir

Found = Sequence[tuple[Experiment, Evaluation]]

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
    return int((one.card.get("network") or {}).get("inputs", 0))


def _ensembles(found: Found) -> Table:
    columns = Columns.of(found)

    def cells(evaluation: Evaluation) -> list[Cell]:
        values = [evaluation.value(f"{measure}_ensemble") for measure in columns.measures]
        return [Cell("-" if v is None else number(v[0], 3), True) for v in values]

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
    return [_differences(one, order) for one in runs.comparisons(workdir, "pronunciation", name)]


def _differences(summary: dict[str, Any], order: Sequence[str]) -> Table:
    there = summary["experiments"]
    columns = Columns(
        tuple(m for m in MEASURES if any(m in one for one in there.values())) or MEASURES
    )
    return runs.differences(
        summary,
        order,
        columns.measures,
        columns.heads,
        lambda _: (3, 2),
        "item",
        list(columns.groups),
    )
