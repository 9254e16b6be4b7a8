"""Results on stdout: Rich tables, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechkit.base.answers import Answer, Rows
from speechkit.base.tables import json_text, show

NO_WIDTH = 10_000  # of a pipe, which has none to fold long paths to


def print_answer(answer: Answer, as_json: bool) -> None:
    """Print what a command answers, as JSON or as tables."""
    if as_json:
        print_json(answer.data)
        return
    for title, columns, rows in answer.tables:
        print_table(title, columns, rows)
    for line in answer.lines:
        print(line)


def print_table(title: str, columns: Sequence[str], values: Rows) -> None:
    """Print a table: in a terminal texts fold to its width, numbers never; in a pipe nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = NO_WIDTH
    least = 1 + sum(3 + _least(values, index) for index in range(len(columns)))
    if 0 < len(values) < len(columns) and least > console.width:
        first, *others = zip(columns, *values, strict=True)  # too wide: its columns become rows
        columns, values = tuple(map(show, first)), others
    table = Table(header_style="bold")
    for index, column in enumerate(columns):
        number = bool(values) and isinstance(values[0][index], int | float)
        justify: Any = "right" if number else "left"
        table.add_column(column, justify=justify, min_width=_least(values, index), overflow="fold")
    for row in values:
        table.add_row(*(Text(show(value)) for value in row))
    if title:
        console.print(Text(title, "bold"))
    console.print(table, crop=False)


def _least(values: Rows, index: int) -> int:
    """Characters of the longest number of a column, also of those within texts."""
    words = (word for row in values for word in show(row[index]).split())
    return max(
        (min(len(word), 24) for word in words if any(map(str.isdecimal, word[:2]))), default=4
    )


def print_json(value: Any) -> None:
    """Print JSON; NaN becomes null."""
    print(json_text(value, indent=2))
