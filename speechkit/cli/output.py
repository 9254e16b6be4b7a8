"""Results on stdout: Rich tables, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from speechkit.base.schema import Object, read_json
from speechkit.base.tables import json_text, show

NO_WIDTH = 10_000  # of a pipe, which has none to fold long paths to
Rows = Sequence[Sequence[Any]]


class Answer(NamedTuple):
    """What a command prints in the end.

    Args:
        data: for ``--json``.
        tables: title, columns and rows of each, otherwise.
        lines: what stands below them.
        code: exit code.
    """

    data: Any
    tables: Sequence[tuple[str, Sequence[str], Rows]] = ()
    lines: Sequence[str] = ()
    code: int = 0

    def print(self, as_json: bool) -> None:
        """Print it."""
        if as_json:
            print_json(self.data)
            return
        for title, columns, rows in self.tables:
            print_table(title, columns, rows)
        for line in self.lines:
            print(line)


NOTHING = Answer(None)


def rows(title: str, columns: Sequence[str], values: Rows) -> Answer:
    """Rows: a table, or a list of objects."""
    data = [dict(zip(columns, row, strict=True)) for row in values]
    return Answer(data, [(title, columns, values)])


def pairs(title: str, values: dict[str, Any]) -> Answer:
    """Names and values: a line each, or an object."""
    shown = {k: ", ".join(v) if v and isinstance(v, list) and isinstance(v[0], str) else str(v)
             for k, v in values.items()}  # fmt: skip
    return Answer(values, [(title, ("", ""), list(shown.items()))])


def summary(folder: Path) -> Answer:
    """The ``summary.json`` of an output folder, measure by measure."""
    found = read_json(folder / "summary.json", Object)
    return Answer(found, [(str(folder), ("measure", "value"), list(_flat(found)))])


def output(
    folder: Path, found: dict[str, Any], title: str, columns: Sequence[str], values: Rows
) -> Answer:
    """Some rows of what an output folder holds; for JSON all of it, and the folder."""
    return Answer({"output": str(folder), **found}, [(title, columns, values)])


def evaluations(
    folders: Sequence[Path],
    found: Sequence[dict[str, Any]],
    title: str,
    columns: Sequence[str],
    values: Rows,
) -> Answer:
    """Evaluations: a row each and their folders, or their summaries (one alone plain)."""
    data = [{"output": str(f), **one} for f, one in zip(folders, found, strict=True)]
    lines = list(map(str, folders))
    return Answer(data if len(data) > 1 else data[0], [(title, columns, values)], lines)


def print_table(title: str, columns: Sequence[str], values: Rows) -> None:
    """Print a table: in a terminal texts fold to its width, numbers never; in a pipe nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = NO_WIDTH
    if len(values) < len(columns) and _least_width(values) > console.width:
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


def _least_width(values: Rows) -> int:
    columns = len(values[0]) if values else 0
    return sum(3 + _least(values, index) for index in range(columns)) + 1


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
