"""What a command shows in the end: tables for people, and the same as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from speechkit.base.schema import Object, read_json

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


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those inside of others as ``outer.inner``."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
