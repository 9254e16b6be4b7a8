"""Tables of separation: results like the paper's, differences, genders, the worst mixtures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechkit.report.elements import Cell, Table, difference, figure, file_player, spread
from speechkit.report.reader import read_rows
from speechkit.report.separation_runs import Evaluation, Experiment, Found, differences_to_paper
from speechkit.report.tables import PAIRED, comparable, difference_table, in_order
from speechkit.separation import paper
from speechkit.workdir import WorkDir

SECONDS = 4.0  # of a clip
_SPACE = "\N{NO-BREAK SPACE}"
_MEANS = {"si_snri_db": "SI-SNRi", "sdri_db": "SDRi", "stoi": "STOI", "estoi": "ESTOI"}
_PERCENTILES = (1, 5, 10)
_COUNTERPARTS = ("si_snri_db", "hsr5_percent", "hsr10_percent", "si_snri_p05_db")
_HSR = re.compile(r"hsr(\d+(?:\.\d+)?)_percent")
_HSR_GENDERS = "hsr{}_{}_percent"
_GENDERS = re.compile(r"mixtures_([fm]+)")
_NAMES = {
    "better_by_1db_percent": f"better by 1{_SPACE}dB (%)",
    "worse_by_1db_percent": f"worse by 1{_SPACE}dB (%)",
    "si_snri_db": "SI-SNRi (dB)",
    "sdri_db": "SDRi (dB)",
    "si_snr_db": "SI-SNR (dB)",
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
    )


def _trained(one: Experiment, evaluation: Evaluation) -> list[Any]:
    """Cells of the columns DM to P_S."""
    training = one.recipe_of(evaluation)
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
        if (row := paper.find(one.name, one.recipe_of(e), paper.size_of(one.network)))
    ]
    if not lines:
        return None
    said, texts = comparable([differences_to_paper(workdir, *line) for line in lines])
    rows = []
    for (one, e, row), text in zip(lines, texts, strict=True):
        pairs: list[Any] = []
        for key in paper.MEASURES:
            pairs += [spread(e.value(key)), figure(row.values[key][0], 2)]
        rows.append([label(one, e), *pairs, row.table.replace(" ", _SPACE), text])
    measures = ("SI-SNRi (dB)", "HSR5 (%)", "HSR10 (%)")
    return Table(
        ("experiment", *("ours", "paper") * 3, "table", "comparable?"),
        rows,
        f"{said}Paper: {paper.SOURCE}; 3000 mixtures of WSJ0, one run of each row, no "
        "spread given. Light and full are its two sizes of Conv-TasNet.",
        groups=(("", 1), *((measure, 2) for measure in measures), ("", 2)),
        title="Beside the paper",
    )


def differences(summary: dict[str, Any], order: Sequence[str]) -> Table:
    """Differences to a baseline, one row an experiment, one column a measure.

    Args:
        summary: ``summary.json`` of ``compare separation``.
    """
    every = summary["experiments"].values()
    heads = {m: measure_name(m) for one in every for m in one["measures"]}
    counts = {_compared(one) for one in every}
    caption = f"{PAIRED} HSR in percentage points."
    if len(counts) == 1:  # no column for what is one number
        caption = f"Seeds x mixtures: {counts.pop()}. {caption}"
    else:
        heads["seeds"] = "seeds x mixtures"

    def cell(one: dict[str, Any], measure: str) -> Any:
        if measure == "seeds":
            return _compared(one)
        values = one["measures"].get(measure)
        share = values is not None and values["baseline"] is None  # of mixtures
        return difference(values, lower=bool(_HSR.fullmatch(measure)), share=share)

    return difference_table(summary, order, heads, cell, caption)


def counterparts(summary: dict[str, Any], order: Sequence[str]) -> Table:
    """How much harder the mixtures of a hard set are than their random counterparts.

    Args:
        summary: ``summary.json`` of ``compare separation`` with a baseline set.
    """
    there, target = summary["experiments"], summary["baseline"]
    measured = list(dict.fromkeys(m for one in there.values() for m in one["measures"]))
    shown = [m for m in measured if m in _COUNTERPARTS] or [
        m for m in measured if not m.endswith("_by_1db_percent")
    ]
    rows = []
    for name in in_order(there, order):
        cells: list[Any] = []
        for measure in shown:
            values = there[name]["measures"].get(measure) or {}
            cells += [figure(values.get(end), 2) for end in ("baseline", "value")]
            cells.append(difference(values or None, lower=bool(_HSR.fullmatch(measure))))
        rows.append([name, *cells, _compared(there[name])])
    return Table(
        ["experiment", *("random", "hard", "difference") * len(shown), "seeds x mixtures"],
        rows,
        f"Each mixture and its counterpart in '{target}': the same piece of the first speaker at "
        "the same level, with a hard partner instead of a random one. Paired by mixture and seed. "
        "In brackets the 95 % interval over speakers. HSR in percent.",
        groups=[("", 1), *((measure_name(measure), 3) for measure in shown), ("", 1)],
        title=f"Hard mixtures and their counterparts in '{target}'",
    )


def _compared(one: dict[str, Any]) -> str:
    return f"{len(one['seeds'])} x {one['mixtures']}"


def measure_name(measure: str) -> str:
    """Header of a measure of ``compare separation``."""
    if hsr := _HSR.fullmatch(measure):
        return f"HSR{hsr[1]}"
    if found := re.fullmatch(r"si_snri_p(\d+(?:\.\d+)?)_db", measure):
        return f"SI-SNRi at {float(found[1]):g}{_SPACE}% (dB)"
    return _NAMES.get(measure, measure)


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
        title="By gender",
    )


def _count(found: Found, name: str) -> str:
    counts = [value for _, e in found if (value := e.value(name))]
    return f"{counts[0][0]:g}" if counts else "?"


def worst(folder: Path) -> list[Table]:
    """Tables with players of an evaluation: its worst mixtures, and ordinary ones to compare.

    Args:
        folder: ``exp/separation/<name>/eval/<set>``.
    """
    titles = {"worst": "The lowest SI-SNRi", "median": "Around the median, to compare"}
    listed = {title: read_rows(folder / f"{name}.tsv") for name, title in titles.items()}
    return [_clips(folder, rows, title) for title, rows in listed.items() if rows]


def _clips(folder: Path, rows: Sequence[dict[str, str]], title: str) -> Table:
    speakers = [name for name in rows[0] if name.startswith("speaker")]
    numbers = range(1, len(speakers) + 1)
    signals = ["mixture", *(f"{what}{k}" for k in numbers for what in ("source", "estimate"))]
    lines = [
        [
            int(row["rank"]),
            row["mixture"],
            ", ".join(row[name] for name in speakers),
            row["genders"].lower(),
            figure(float(row["si_snri_db"]), 1),
            *(
                file_player(folder, f"{row['clip']}_{signal}.wav", f"{row['mixture']}, {signal}")
                for signal in signals
            ),
        ]
        for row in rows
    ]
    pairs = [column for _ in numbers for column in ("source", "estimate")]
    return Table(
        ["rank", "mixture", "speakers", "genders", "SI-SNRi", "mixture", *pairs],
        lines,
        groups=[("", 6), *((f"speaker {k}", 2) for k in numbers)],
        title=title,
    )
