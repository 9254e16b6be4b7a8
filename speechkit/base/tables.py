"""How results are written (tables, logs of trainings, JSON), and tables as people give them.

A given table has cells between tabs, or is CSV as spreadsheets write it. A file that ends in
``.csv`` is read by Python's csv module: cells that hold a comma, a quote or a line end stand in
double quotes. Everything else has a tab between cells and no quotes. Both have the number of the
line that a row begins in, so that messages can name it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from speechkit.base.errors import DataError, UserError
from speechkit.base.log import note_once
from speechkit.base.text import read_lines

CSV = ".csv"
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_QUOTES = (
    'Put a cell that holds {}, a line end or a quote in double quotes, a quote in it twice: "".'
)


def grouped(values: Iterable[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    """Key -> the values that have it; keys in the order of their first values."""
    found: dict[Key, list[Value]] = {}
    for value in values:
        found.setdefault(key(value), []).append(value)
    return found


def show(value: Any) -> str:
    """A value as a table shows it: four digits, '-' for what is missing."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return "-" if value is None else str(value)


def cell(value: Any, floats: str = "") -> str:
    """A value as a line of a file has it: empty for None, NaN and infinity.

    Args:
        floats: the format of a float, as ``.4f``.
    """
    if isinstance(value, str):
        return " ".join(value.split())
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return format(value, floats) if isinstance(value, float) else str(value)


def trimmed(value: float, digits: int) -> str:
    """A number with at most so many decimals, as ``7.5``; empty for NaN and infinity."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""


def write_tsv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], floats: str = ""
) -> None:
    """Write a tab-separated table with a header; its values as :func:`cell` gives them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(columns)
        writer.writerows([cell(value, floats) for value in row] for row in rows)


def typed_rows(
    path: Path, columns: Sequence[str], kinds: Sequence[Callable[[str], Any]], remedy: str = ""
) -> Iterator[tuple[int, list[Any]]]:
    """Line number and values of every line of a table that :func:`write_tsv` wrote.

    Args:
        kinds: what makes the value of a cell, column by column, as ``composed`` or ``float``.
        remedy: what to do about a damaged one, for the message.

    Raises:
        UserError: it cannot be read, has other columns, or a cell is not of its kind.
    """
    lines = read_lines(path)
    if lines[:1] != ["\t".join(columns)]:
        raise DataError(f"{path}: expected the columns {', '.join(columns)}.", remedy)
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(columns):
            problem = f"expected {len(columns)} cells, found {len(cells)}"
            raise DataError(f"{path}:{number}: {problem}.", remedy)
        try:
            yield number, [kind(each) for kind, each in zip(kinds, cells, strict=True)]
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}.", remedy) from None


def write_log(path: Path, rows: Sequence[Mapping[str, Any]], number: str = "") -> None:
    """Write the log of a training, a line an epoch (or step); nothing where there are no rows.

    Args:
        rows: name of a measure -> value; numbers get six digits.
        number: a first column of this name, which counts the rows from 1.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if columns:
        first = [[str(count)] if number else [] for count in range(1, len(rows) + 1)]
        lines = [
            [*before, *(_logged(row.get(name, "")) for name in columns)]
            for before, row in zip(first, rows, strict=True)
        ]
        write_tsv(path, [number, *columns] if number else columns, lines)


def _logged(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else f"{value:.6g}"


def write_skipped(folder: Path, skipped: Iterable[Sequence[str]]) -> None:
    """List (utterance, reason) of what was left out, where there is any, in ``skipped.tsv``."""
    if rows := sorted(skipped, key=lambda row: row[0]):
        write_tsv(folder / "skipped.tsv", ("utt", "reason"), rows)


def plain(value: Any) -> Any:
    """A value as JSON has it: lists for arrays, null for NaN, text for what JSON has not."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy and torch
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def json_text(value: Any, indent: int | None = None, ascii_only: bool = False) -> str:
    """JSON of a value, letters of all languages as they are; names that are not UTF-8 escaped.

    Args:
        value: of :func:`plain`.
        indent: of a level, in spaces; None for one line.
        ascii_only: escape all other letters, too.
    """
    text = json.dumps(plain(value), indent=indent, ensure_ascii=ascii_only)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain(value), indent=indent)
    return text


def write_json(path: Path, value: Any, indent: int = 2, ascii_only: bool = True) -> None:
    """Write :func:`json_text` with a line end."""
    path.write_text(json_text(value, indent, ascii_only) + "\n", encoding="utf-8")


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
