"""Values as people read them, and tables as text."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def show(value: Any) -> str:
    """A value as a table shows it: four digits, '-' for what is missing."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return "-" if value is None else str(value)


def write_tsv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a tab-separated table with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(columns)
        writer.writerows([" ".join(cell.split()) for cell in row] for row in rows)


def write_skipped(folder: Path, skipped: Iterable[Sequence[str]]) -> None:
    """List (utterance, reason) of what was left out, where there is any, in ``skipped.tsv``."""
    if rows := sorted(skipped, key=lambda row: row[0]):
        write_tsv(folder / "skipped.tsv", ("utt", "reason"), rows)


def plain(value: Any) -> Any:
    """A value as JSON has it: lists for arrays, null for NaN, text for what JSON has not."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy and torch
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON of a value, letters of all languages as they are; names that are not UTF-8 escaped."""
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain(value), indent=indent)
    return text
