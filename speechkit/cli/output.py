"""Results on stdout: a Rich table, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.base.schema import Object, read_json
from speechkit.base.tables import json_text, show

if TYPE_CHECKING:
    from speechkit.task.comparison import Comparison

_NO_WIDTH = 10_000


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool = False
) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(columns):
        number = bool(rows) and isinstance(rows[0][index], int | float)
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(show(value)) for value in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width to fold long paths to
        console.width = _NO_WIDTH
    console.print(table)


def print_pairs(title: str, values: dict[str, Any], as_json: bool = False) -> None:
    """Print names and values: a line each, or a JSON object."""
    if as_json:
        print_json(values)
        return
    shown = {k: ", ".join(v) if v and isinstance(v, list) and isinstance(v[0], str) else str(v)
             for k, v in values.items()}  # fmt: skip
    print_table(title, ("", ""), list(shown.items()))


def print_summary(folder: Path, as_json: bool = False) -> None:
    """Print the ``summary.json`` of an output folder, measure by measure."""
    summary = read_json(folder / "summary.json", Object)
    if as_json:
        print_json(summary)
    else:
        print_table(str(folder), ("measure", "value"), list(_flat(summary)))


def print_evaluations(
    folders: Sequence[Path],
    summaries: Sequence[dict[str, Any]],
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    as_json: bool = False,
) -> None:
    """Print evaluations: a row each and their folders, or their summaries (one alone plain)."""
    if as_json:
        made = [{"output": str(f), **one} for f, one in zip(folders, summaries, strict=True)]
        print_json(made if len(made) > 1 else made[0])
        return
    print_table(title, columns, rows)
    for folder in folders:
        print(folder)


def print_comparison(folder: Path, comparison: Comparison, as_json: bool = False) -> None:
    """Print a comparison: differences to its baseline, a row each, or its summary."""
    summary = read_json(folder / "summary.json", Object)
    if as_json:
        print_json({"output": str(folder), **summary})
        return
    title = f"Differences to {summary['baseline']} on {summary['set']}"
    print_table(title, comparison.columns, comparison.rows(summary["experiments"]))


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those inside of others as ``outer.inner``."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def print_json(value: Any) -> None:
    """Print JSON; NaN becomes null."""
    print(json_text(value, indent=2))
