"""Tables of separation: results like the paper's, differences, genders, the worst mixtures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from speechkit.report.cells import difference, number, spread
from speechkit.report.comparability import differences_to_paper
from speechkit.report.experiments import Evaluation, Experiment
from speechkit.report.model import Cell, Table
from speechkit.report.tables import comparable
from speechkit.separation import paper
from speechkit.workdir import WorkDir

Found = Sequence[tuple[Experiment, Evaluation]]

_SPACE = "\N{NO-BREAK SPACE}"
_MEANS = {"si_snri_db": "SI-SNRi", "sdri_db": "SDRi", "stoi": "STOI", "estoi": "ESTOI"}
_PERCENTILES = (1, 5, 10)
_HSR = re.compile(r"hsr(\d+(?:\.\d+)?)_percent")
_HSR_GENDERS = "hsr{}_{}_percent"
_GENDERS = re.compile(r"mixtures_([fm]+)")
_CHANGES = {
    "better_by_1db_percent": f"better by 1{_SPACE}dB (%)",
    "worse_by_1db_percent": f"worse by 1{_SPACE}dB (%)",
}


def label(one: Experiment, evaluation: Evaluation) -> str:
    """Name of an experiment, with the variant of its evaluation."""
    return one.name + (f" ({evaluation.variant})" if evaluation.variant else "")


def results(found: Found) -> Table:
    """Rows as in Tables 1 to 4: how each model was trained, means and the tail."""
    keys = {key for _, e in found for key in e.summary}
    means = [key for key in _MEANS if key in keys]
    rates = sorted({float(m[1]) for key in keys if (m := _HSR.fullmatch(key))})
    tail = [p for p in _PERCENTILES if f"si_snri_p{p:02d}_db" in keys]
    rows = []
    for one, evaluation in found:
        measured = [
            *(spread(evaluation.value(key), 3 if "stoi" in key else 2) for key in means),
            *(spread(evaluation.value(f"hsr{t:g}_percent")) for t in rates),
            *(spread(evaluation.value(f"si_snri_p{p:02d}_db")) for p in tail),
        ]
        seeds = len(evaluation.seeds)
        rows.append([label(one, evaluation), *_trained(one, evaluation), *measured, seeds])
    columns = ["experiment", "DM", "WTL", "WVL", "pairs by", "P_M (%)", "P_S (%)"]
    columns += [_MEANS[key] for key in means]
    columns += [f"HSR{t:g}" for t in rates] + [f"{p} %" for p in tail] + ["seeds"]
    groups = [("", 1), ("training", 3), ("hard pairs", 3), ("mean (dB)", len(means))]
    groups += [("hard samples (%)", len(rates)), ("percentiles of SI-SNRi (dB)", len(tail))]
    return Table(
        columns,
        rows,
        "DM: dynamic mixing. WTL, WVL: rank-weighted loss in training, in validation. Hard pairs "
        "are mined by the P_M nearest, and replace a pair with probability P_S. HSR5: percent of "
        "mixtures with an SI-SNRi below 5 dB. ±: standard deviation over seeds.",
        groups=[group for group in (*groups, ("", 1)) if group[1]],
        dense=True,
    )


def _trained(one: Experiment, evaluation: Evaluation) -> list[Any]:
    """Cells of the columns DM to P_S."""
    training = one.settings_of(evaluation)
    if training is None:
        return [None] * 6
    ticks = ["✓" if tick else "" for tick in (training.dm, training.wtl, training.wvl)]
    shares = [Cell("" if v is None else f"{v:g}", True) for v in (training.pm, training.ps)]
    return [*ticks, training.param, *shares]


def beside_paper(workdir: WorkDir, found: Found) -> Table | None:
    """Our rows and the published ones, and why they cannot be compared; None without any."""
    lines = [
        (one, e, row)
        for one, e in found
        if (row := paper.find(one.name, one.settings_of(e), paper.size_of(one.network)))
    ]
    if not lines:
        return None
    said, texts = comparable([differences_to_paper(workdir, *line) for line in lines])
    rows = []
    for (one, e, row), text in zip(lines, texts, strict=True):
        pairs: list[Any] = []
        for key in paper.MEASURES:
            pairs += [spread(e.value(key)), Cell(number(row.values[key][0]), number=True)]
        rows.append([label(one, e), *pairs, row.table.replace(" ", _SPACE), text])
    measures = ("SI-SNRi (dB)", "HSR5 (%)", "HSR10 (%)")
    return Table(
        ("experiment", *("ours", "paper") * 3, "table", "comparable?"),
        rows,
        f"{said}Paper: {paper.SOURCE}; 3000 mixtures of WSJ0, one run of each row, no "
        "spread given. Light and full are its two sizes of Conv-TasNet.",
        groups=(("", 1), *((measure, 2) for measure in measures), ("", 2)),
        dense=True,
        title="Beside the paper",
    )


def differences(summary: dict[str, Any], order: Sequence[str]) -> Table:
    """Differences to a baseline, one row an experiment, one column a measure.

    Args:
        summary: ``summary.json`` of ``compare separation``.
        order: of the experiments.
    """
    there = summary["experiments"]
    names = [*(name for name in order if name in there), *(n for n in there if n not in order)]
    experiments = {name: there[name] for name in names}
    measures = list(dict.fromkeys(m for one in experiments.values() for m in one["measures"]))
    rows = []
    for name, one in experiments.items():
        found = [_difference(m, one["measures"].get(m)) for m in measures]
        rows.append([name, *found, f"{len(one['seeds'])} x {one['mixtures']}"])
    columns = ["experiment", *(measure_name(m) for m in measures), "seeds x mixtures"]
    of = ""
    if len({row[-1] for row in rows}) == 1:  # no column for what is one number
        of, rows, columns = (
            f"Seeds x mixtures: {rows[0][-1]}. ",
            [r[:-1] for r in rows],
            columns[:-1],
        )
    return Table(
        columns,
        rows,
        of
        + "In brackets the 95 % interval of a bootstrap over speakers (training is not resampled); "
        "±: standard deviation of the difference over seeds. ▲ better, ▼ worse than the baseline: "
        "the interval excludes 0, which one in twenty does by chance. HSR in percentage points.",
        dense=True,
        title=f"Differences to '{summary['baseline']}'",
    )


def _difference(measure: str, values: dict[str, Any] | None) -> Cell:
    share = values is not None and values["baseline"] is None  # of mixtures
    return difference(values, lower=bool(_HSR.fullmatch(measure)), share=share)


def measure_name(measure: str) -> str:
    """Header of a measure of ``compare separation``."""
    if measure in _CHANGES:
        return _CHANGES[measure]
    if hsr := _HSR.fullmatch(measure):
        return f"HSR{hsr[1]}"
    if found := re.fullmatch(r"si_snri_p(\d+(?:\.\d+)?)_db", measure):
        return f"SI-SNRi at {float(found[1]):g}{_SPACE}% (dB)"
    named = {"si_snri_db": "SI-SNRi (dB)", "sdri_db": "SDRi (dB)", "si_snr_db": "SI-SNR (dB)"}
    return named.get(measure, measure)


def genders(found: Found) -> Table | None:
    """SI-SNRi and the lowest hard sample rate by gender combination; None without any."""
    keys = {key for _, e in found for key in e.summary}
    groups = sorted(m[1] for key in keys if (m := _GENDERS.fullmatch(key)))
    rates = sorted(float(m[1]) for key in keys if (m := _HSR.fullmatch(key)))
    if not groups:
        return None
    rate = f"{rates[0]:g}" if rates else ""
    rows = []
    for one, e in found:
        means = [spread(e.value(f"si_snri_{g}_db")) for g in groups]
        hard = [spread(e.value(_HSR_GENDERS.format(rate, g))) for g in groups] if rate else []
        rows.append([label(one, e), *means, *hard])
    counts = {g: _count(found, f"mixtures_{g}") for g in groups}
    listed = ", ".join(f"{g} {counts[g]}" for g in groups)
    head = [("", 1), ("SI-SNRi (dB)", len(groups))]
    head += [(f"HSR{rate} (%)", len(groups))] if rate else []
    return Table(
        ["experiment", *groups * (2 if rate else 1)],
        rows,
        f"f: female, m: male. Mixtures: {listed}.",
        groups=head,
        dense=True,
        title="By gender",
    )


def _count(found: Found, name: str) -> str:
    counts = [value for _, e in found if (value := e.value(name))]
    return f"{counts[0][0]:g}" if counts else "?"
