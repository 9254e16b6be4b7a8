"""How results are written (tables, logs of trainings, JSON), and values as people read them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


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
