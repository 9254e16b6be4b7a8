"""Tables that several tasks have: differences, errors by score, what was scored worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from speechkit.report.elements import NOTHING, Cell, Table, difference, number, player
from speechkit.report.experiments import Evaluation, comparisons
from speechkit.report.reader import Sources, params_of, read_rows
from speechkit.task.scores import CLASSES, WORST
from speechkit.workdir import WorkDir

SECONDS = 8.0  # of a recording of a scored utterance
PAIRED = (
    "In brackets the 95 % interval of a bootstrap over speakers (training is not resampled); "
    "±: standard deviation of the difference over seeds. ▲ better, ▼ worse than the baseline: "
    "the interval excludes 0, which one in twenty does by chance."
)


def comparable(reasons: Sequence[Sequence[str] | None]) -> tuple[str, list[str]]:
    """What our rows have otherwise than the paper's: a sentence for what all have in common, and
    a text for each row.

    Args:
        reasons: of each row, see :meth:`speechkit.task.paper.PublishedRow.differences`; None for
            a row that was not run.
    """
    run = [one for one in reasons if one is not None]
    common = [why for why in (run or [[]])[0] if all(why in one for one in run)]
    said = f"Not comparable with the paper, in all rows: {'; '.join(common)}. " if common else ""

    def text(one: Sequence[str] | None) -> str:
        if one is None:
            return "not run"
        own = [why for why in one if why not in common]
        return "; ".join(["no"] * bool(one) + own) or "yes"

    return said, [text(one) for one in reasons]


def in_order(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """Names in a given order; those that it does not have last."""
    return [*(n for n in order if n in names), *(n for n in names if n not in order)]


def difference_table(
    summary: Mapping[str, Any],
    order: Sequence[str],
    heads: Mapping[str, str],
    cell: Callable[[Any, str], Any],
    caption: str,
    groups: Sequence[tuple[str, int]] = (),
) -> Table:
    """The differences to a baseline, one row an experiment, one column a measure.

    Args:
        summary: ``summary.json`` of a comparison.
        heads: measure -> title of its column.
        cell: (what the summary has of an experiment, measure) -> cell.
        groups: of columns, after the first.
    """
    there = summary["experiments"]
    return Table(
        ["experiment", *heads.values()],
        [[name, *(cell(there[name], m) for m in heads)] for name in in_order(there, order)],
        caption,
        groups=[("", 1), *groups] if groups else [],
        title=f"Differences to '{summary['baseline']}'",
    )


def score_differences(
    workdir: WorkDir,
    task: str,
    set_name: str,
    order: Sequence[str],
    heads: Callable[[list[str]], tuple[dict[str, str], Sequence[tuple[str, int]]]],
    paired: str,
    digits: Callable[[str], tuple[int, int]],
) -> list[Table]:
    """A table of differences for each comparison of predicted scores on a set.

    Args:
        task: pronunciation or scoring.
        heads: measures that there are -> titles of their columns, and groups of columns.
        paired: by what the differences are paired, in words.
        digits: measure -> digits of a difference, and of what stands around it.
    """

    def cell(one: Mapping[str, Any], measure: str) -> Cell:
        inner, around = digits(measure)
        return difference(one.get(measure), measure.endswith("_mse"), digits=inner, around=around)

    tables = []
    for path, summary in comparisons(workdir, task):
        if params_of(path).get("set") == set_name:
            measured = list(
                dict.fromkeys(m for one in summary["experiments"].values() for m in one)
            )
            titles, groups = heads(measured)
            caption = f"Paired by {paired} and seed. {PAIRED}"
            tables.append(difference_table(summary, order, titles, cell, caption, groups))
    return tables


def score_errors(
    columns: Mapping[str, Evaluation],
    key: Callable[[Mapping[str, str]], Any],
    head: Callable[[Any], list[Any]],
    heads: Sequence[str],
    caption: str,
    title: str,
) -> Table | None:
    """Mean absolute error of every score class, one column an evaluation; None without any.

    Args:
        columns: by the names of their experiments.
        key: of a row of ``classes.tsv``; None leaves it out.
        head: first cells of the row of a key.
        heads: their titles.
    """
    read = [
        {at: row for row in read_rows(e.folder / CLASSES) if (at := key(row)) is not None}
        for e in columns.values()
    ]
    keys = sorted({at for rows in read for at in rows})
    if not keys:
        return None
    table: list[list[Any]] = []
    for at in keys:
        own = [rows.get(at) for rows in read]
        labels = next(int(float(row["count"])) for row in own if row is not None)
        table.append([*head(at), labels, *map(_error, own)])
    return Table([*heads, "labels", *columns], table, caption, title=title)


def _error(row: Mapping[str, str] | None) -> Cell:
    if row is None:
        return NOTHING
    under = (f"predicted {number(float(row['mean_prediction']))}",)
    return Cell(number(float(row["mae"])), True, under=under)


def worst_scored(
    workdir: WorkDir,
    evaluation: Evaluation,
    heads: Callable[[Mapping[str, str]], Mapping[str, Callable[[Mapping[str, str]], Any]]],
    caption: str,
) -> Table | None:
    """The utterances whose scores were missed by most, with players; None where none are listed.

    Args:
        heads: first row -> title of a further column -> its cell in a row.

    Raises:
        UserError: the set is gone, or breaks its format.
        KeyError: the list has other columns.
    """
    rows = read_rows(evaluation.folder / WORST)
    if not rows:
        return None
    sources, columns = Sources(workdir, evaluation.set), heads(rows[0])
    lines = [
        [
            int(row["rank"]),
            Cell(row["text"], under=(row["utt"],)),
            sources.who(row["speaker"]),
            player(sources.get(row["utt"]), SECONDS),
            *(cell(row) for cell in columns.values()),
        ]
        for row in rows
    ]
    return Table(
        ["rank", "text", "speaker", "recording", *columns],
        lines,
        f"{caption} Recordings: the first {SECONDS:g} s.",
    )
