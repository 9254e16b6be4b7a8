"""Tables of recordings: which column is what, and its rows by the names that the package uses.

Columns may have any of the names that corpora give them, in any case: ``File``, ``FILE NAME`` and
``path`` are all the path of a recording.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.schema import json_lines
from speechkit.base.tables import read_rows
from speechkit.base.text import composed

PATH, SPEAKER, TEXT = PLAIN = ("path", "speaker", "text")  # columns without a header
LABELS = ("emotion", "intensity", "statement")
COLUMNS = (*PLAIN, "utt", "gender", "age", *LABELS)
OTHER_NAMES = {
    "file": PATH, "filename": PATH, "file_name": PATH, "filepath": PATH, "file_path": PATH,
    "audio": PATH, "audio_file": PATH, "audio_path": PATH, "audio_filepath": PATH, "wav": PATH,
    "speaker_id": SPEAKER, "spk": SPEAKER, "spk_id": SPEAKER, "client_id": SPEAKER,
    "transcript": TEXT, "transcription": TEXT, "sentence": TEXT,
    "utt_id": "utt", "utterance": "utt", "utterance_id": "utt",
    "sex": "gender", "label": "emotion",
}  # fmt: skip
JSON_LINES = ".jsonl"
_LIKE = 0.75  # a name this like a known one is a slip of the pen


@dataclass(frozen=True)
class Table:
    """The rows of a table of recordings.

    Args:
        columns: names of its columns, of :data:`COLUMNS`.
        rows: (number of the line, column -> value); empty cells are left out.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]


def read_table(
    path: Path, layout: str, needed: Sequence[str] = (PATH, SPEAKER), named: str = ""
) -> Table:
    """Read a table of recordings: CSV, tab-separated, or a JSON object a line, by its ending.

    Args:
        layout: what a table looks like, for messages.
        needed: columns that must be there, and not be empty in any row.
        named: the one name that the column of paths has; empty for any.

    Raises:
        UserError: a header or a line that does not fit, with its number.
    """
    if path.suffix.lower() == JSON_LINES:
        return _json_lines(path, layout, needed, named)
    found = read_rows(path)
    header: tuple[str, ...] = PLAIN
    rows = found.rows
    names = dict(enumerate(header))
    if rows and (named or _is_header(rows[0][1])):
        header = tuple(rows[0][1])
        names = columns_of(f"{path}:{rows[0][0]}", header, layout, needed, named)
        rows = rows[1:]
    shown = [names.get(k, name) for k, name in enumerate(header)]
    table = []
    for number, cells in rows:
        row = {names[k]: cell for k, cell in enumerate(cells) if cell and k in names}
        if any(cells[len(header) :]) or not all(row.get(name) for name in needed):
            error = found.misfit(number, cells, shown)
            raise UserError(error.problem, f"{error.remedy} {_not_empty(needed)}")
        table.append((number, row))
    return Table(path, tuple(names.values()), table)


def _not_empty(needed: Sequence[str]) -> str:
    return f"{' and '.join(needed).capitalize()} may not be empty."


def _name(cell: str) -> str:
    """A column's name as the package writes it; as it is given where it is not known."""
    plain = "_".join(composed(cell).lower().replace("-", " ").split())
    return OTHER_NAMES.get(plain, plain)


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first line names columns: its first cell, or half of its cells and a path."""
    names = [_name(cell) for cell in cells]
    known = sum(name in COLUMNS for name in names)
    return names[0] == PATH or (PATH in names and known > 1 and 2 * known >= len(names))


def columns_of(
    where: str, header: Sequence[str], layout: str, needed: Sequence[str], named: str = ""
) -> dict[int, str]:
    """Place -> name of the columns that are known; the others are named in a warning.

    Raises:
        UserError: a column comes twice, is nearly one that is known, or is missing.
    """
    names: dict[int, str] = {}
    for place, cell in enumerate(header):
        name = _name(cell)
        before = next((k for k, known in names.items() if known == name), None)
        if name not in COLUMNS or (name == PATH and named and cell.lower() != named):
            continue
        if before is not None:
            raise UserError(
                f"{where}: the columns '{header[before]}' and '{cell}' are both the "
                f"{name}." if header[before] != cell
                else f"{where}: the column '{cell}' comes twice.",
                "Rename or remove one of them.",
            )  # fmt: skip
        names[place] = name
    other = [cell for place, cell in enumerate(header) if place not in names and cell]
    for cell in other:
        near = difflib.get_close_matches(cell.lower(), COLUMNS, 1, _LIKE)
        if _name(cell) not in COLUMNS and near:
            raise UserError(
                f"{where}: the column '{cell}' is not known. Did you mean '{near[0]}'?",
                f"Rename or remove it. Accepted: {', '.join(COLUMNS)}. Expected: {layout}",
            )
    for name in needed:
        if name not in names.values():
            wanted = (name == PATH and named) or name
            raise UserError(
                f"{where}: there is no column '{wanted}'. Columns: {', '.join(header)}.",
                f"Expected: {layout}",
            )
    if other:
        logger.warning(f"{where}: columns that are not read: {', '.join(other)}.")
    return names


def _json_lines(path: Path, layout: str, needed: Sequence[str], named: str) -> Table:
    """A table that has a JSON object a line, as Hugging Face's ``metadata.jsonl``."""
    objects = list(json_lines(path, 'As {"file_name": "a.wav"}.'))
    keys = list(dict.fromkeys(key for _, one in objects for key in one))
    names = columns_of(str(path), keys, layout, needed, named) if objects else {}
    rows = []
    for number, one in objects:
        row = {}
        for place, name in names.items():
            value = one.get(keys[place])
            if isinstance(value, list | dict | bool):
                raise UserError(f"{path}:{number}: '{keys[place]}' is no text and no number.")
            if value is not None and (text := str(value).strip()):
                row[name] = text
        for name in needed:
            if name not in row:
                raise UserError(f"{path}:{number}: there is no {name}.", _not_empty(needed))
        rows.append((number, row))
    return Table(path, tuple(names.values()), rows)
