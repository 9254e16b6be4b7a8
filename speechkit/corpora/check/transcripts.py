"""What in the texts of a set is not said, or not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from speechkit.base.text import find_marks, visible
from speechkit.corpora.check.lenient import Row, show


def find_faults(rows: Mapping[str, Row]) -> Iterator[tuple[str, int, str]]:
    """(kind of problem, line, message) of marks like ``[noise]`` and of invisible characters.

    Args:
        rows: of ``text``, by utterance.
    """
    for key, row in rows.items():
        if marks := find_marks(row.value):
            some = ", ".join(map(show, dict.fromkeys(marks)))
            yield "markup", row.number, f"'{show(key)}' has marks that are not words: {some}"
        if (seen := visible(row.value)) != row.value:
            odd = sorted({f"U+{ord(c):04X}" for c in row.value if visible(c) != c})
            yield "invisible", row.number, f"'{show(key)}' has {', '.join(odd)} in '{show(seen)}'"
