"""Tables as people give them: cells between tabs, or CSV as spreadsheets write it.

A file that ends in ``.csv`` is read by Python's csv module: cells that hold a comma, a quote or a
line end stand in double quotes. Everything else has a tab between cells and no quotes. Both have
the number of the line that a row begins in, so that messages can name it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import note_once
from speechkit.base.text import read_lines

CSV = ".csv"
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_QUOTES = (
    'Put a cell that holds {}, a line end or a quote in double quotes, a quote in it twice: "".'
)


@dataclass(frozen=True)
class Rows:
    """The rows of a table that are not empty.

    Args:
        path: of the table, for messages.
        mark: what stands between cells.
        rows: (number of the line that it begins in, cells without spaces around them).
    """

    path: Path
    mark: str
    rows: list[tuple[int, list[str]]]

    def form(self, columns: Sequence[str]) -> str:
        """How a line looks, for messages: ``path<TAB>speaker``."""
        return ("<TAB>" if self.mark == "\t" else self.mark).join(columns)

    def misfit(self, number: int, cells: Sequence[str], columns: Sequence[str]) -> UserError:
        """The error of a row that has not these columns."""
        found = self.mark.join(cells)[:200]
        count = f" ({len(cells)} cells)" if len(cells) > len(columns) else ""
        remedy = f"Separate the columns with {_MARKS[self.mark]}."
        if self.path.suffix.lower() == CSV:
            remedy += f" {_QUOTES.format(_MARKS[self.mark])}"
        return UserError(
            f"{self.path}:{number}: expected '{self.form(columns)}', found '{found}'{count}.",
            remedy,
        )


def read_rows(path: Path) -> Rows:
    """The rows of a table, by the ending of its name.

    Raises:
        UserError: it cannot be read, is in another encoding, or is no CSV.
    """
    lines = read_lines(path)
    if path.suffix.lower() != CSV:
        split = ((k, line.split("\t")) for k, line in enumerate(lines, 1))
        return Rows(path, "\t", _filled(split))
    skipped = 1 if lines and lines[0].lower().startswith("sep=") else 0  # of Excel: sep=;
    mark = lines[0][4:5] if skipped else _mark(path, next(filter(str.strip, lines), ""))
    if mark not in _MARKS:
        raise UserError(
            f"{path}:1: '{lines[0][:20]}' names another mark than comma, semicolon and tab.",
            "Export it with commas between the columns.",
        )
    return Rows(path, mark, _filled(_parsed(path, lines[skipped:], mark, skipped)))


def _filled(rows: Iterator[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    stripped = ((number, [cell.strip() for cell in cells]) for number, cells in rows)
    return [(number, cells) for number, cells in stripped if any(cells)]


def _mark(path: Path, line: str) -> str:
    """What separates the cells of a first line: the one of the marks that divides it most."""
    bare = re.sub(r'"[^"]*"', "", line)
    counts = {mark: bare.count(mark) for mark in _MARKS}
    best = max(counts, key=lambda mark: counts[mark])
    if best != ",":
        note_once(f"csv-{path}", f"{path}: the columns are separated by {_MARKS[best]}.")
    return best


def _parsed(
    path: Path, lines: Sequence[str], mark: str, before: int
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=mark, strict=True)
    number = before + 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"{path}:{number}: this row is no CSV ({error}).", _QUOTES.format(_MARKS[mark])
            ) from error
        if cells is None:
            return
        yield number, cells
        number = before + reader.line_num + 1
