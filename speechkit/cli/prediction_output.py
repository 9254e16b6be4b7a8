"""Predictions on stdout as they come: one list of JSON, or one table, of all recordings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from speechkit.base.tables import show
from speechkit.cli.output import NO_WIDTH
from speechkit.task.prediction.written import JsonList

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from speechkit.task.prediction.stream import Head, Predicted


def print_predictions(
    found: Iterator[Predicted[Any]], as_json: bool, *expected: Sequence[str]
) -> None:
    """Print predictions as they come.

    Args:
        as_json: print a list of JSON, which is closed also after a stop.
        expected: of a table with several recordings: cells of the first column, and of the last.
    """
    # what stdout is now: a progress bar puts something else in its place
    shown: JsonList | Shown = JsonList(sys.stdout) if as_json else Shown(*expected)
    stopped_pipe = False
    with closing(found):  # type: ignore[type-var]
        try:
            for one in found:
                shown.add(one.row if as_json else one.made)
        except BrokenPipeError:
            stopped_pipe = True
            raise
        finally:
            if not stopped_pipe:
                shown.close()


class Shown:
    """Results for people: what Rich can show as it is, others as rows of a table.

    Such a result has ``head()``, ``rows()``, and where it has something to add ``notes()``, lines
    below the table. What ``legend()`` gives stands below all.

    Args:
        files: widest cells that the first column may get.
        texts: those of the last.
    """

    def __init__(self, files: Sequence[str] = (), texts: Sequence[str] = ()) -> None:
        self._files, self._texts = files, texts
        self._table: RowTable | None = None
        self._notes: list[str] = []
        self._legend: Any = ""

    def add(self, made: Any) -> None:
        """Show one."""
        if hasattr(made, "__rich__"):
            _console().print(made)
        else:
            self._table = self._table or self._begin(made.head())
            self._table.add(made.rows())
        self._notes += made.notes() if hasattr(made, "notes") else ()
        self._legend = (hasattr(made, "legend") and made.legend()) or self._legend

    def _begin(self, head: Head) -> RowTable:
        if len(self._files) < 2:
            return RowTable(head.title, head.columns)
        first, *others, last = head.widest
        file, text = max((first, *self._files), key=len), max((last, *self._texts), key=len)
        widest = (file, *others, text)
        return RowTable(head.title, head.columns, widest)

    def close(self) -> None:
        """Show what stands below all; also after a stop."""
        if self._table is not None:
            self._table.close()
        for line in self._notes:
            print(line)
        if self._legend:
            _console().print(self._legend)


class RowTable:
    """A table whose rows are printed when they come, and look as in one piece.

    Args:
        widest: the widest cells that are expected; a wider one is folded on a terminal, and moves
            its row out of line elsewhere. None where all rows come at once.
    """

    def __init__(self, title: str, columns: Sequence[str], widest: Sequence[str] = ()) -> None:
        self._title, self._columns = title, columns
        self._widths = [max(len(c), len(w)) for c, w in zip(columns, widest, strict=False)]
        self._numbers: list[bool] = []
        self._bottom = ""
        self._console = _console()
        if not self._console.is_terminal:
            self._console.width = NO_WIDTH

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Print the next rows."""
        from rich.cells import cell_len
        from rich.text import Text

        first = not self._numbers
        cells = [[show(value) for value in row] for row in rows]
        if first:
            self._numbers = [isinstance(value, int | float) for value in rows[0]]
            self._widths = [
                max(width, *map(cell_len, column))
                for width, column in zip(self._widths, zip(*cells, strict=True), strict=False)
            ]
            if self._widths and self._console.is_terminal:
                self._fit()
        lines = self._lines(cells, first)
        if first and self._title:
            self._console.print(Text(self._title, "bold"))
        self._bottom = lines.pop()
        self._print(lines if first else lines[1:])

    def close(self) -> None:
        """Print the line below."""
        if self._bottom:
            self._print([self._bottom])

    def _fit(self) -> None:
        """Narrow the widest columns until all fit on the terminal."""
        room = self._console.width - 3 * len(self._widths) - 1
        while sum(self._widths) > room and max(self._widths) > 1:
            self._widths[self._widths.index(max(self._widths))] -= 1

    def _lines(self, cells: Sequence[Sequence[str]], first: bool) -> list[str]:
        from rich.text import Text

        table = self._table(first)
        for row in cells:
            table.add_row(*map(Text, row))
        with self._console.capture() as capture:
            self._console.print(table)
        return capture.get().splitlines()

    def _table(self, first: bool) -> Table:
        from rich.table import Table

        table = Table(header_style="bold", show_header=first)
        for place, (name, number) in enumerate(zip(self._columns, self._numbers, strict=True)):
            width = self._widths[place] if self._widths else None
            exact = self._console.is_terminal
            table.add_column(
                name,
                justify="right" if number else "left",
                width=width if exact else None,
                min_width=None if exact else width,
                overflow="fold" if width else "ellipsis",
            )
        return table

    def _print(self, lines: Sequence[str]) -> None:
        out = self._console.file
        out.write("".join(f"{line}\n" for line in lines))
        out.flush()


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout)
