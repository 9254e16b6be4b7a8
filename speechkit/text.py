"""Values as people read them, and tables as text."""

from __future__ import annotations

import csv
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
