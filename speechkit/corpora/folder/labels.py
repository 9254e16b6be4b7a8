"""Labels of emotion for own data: a table of utterances or files and their labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechkit.base.delimited import read_rows
from speechkit.base.errors import ConfigError, UserError, closest
from speechkit.base.log import logger
from speechkit.base.text import composed
from speechkit.corpora.common import Item, full_path
from speechkit.labels import emotions
from speechkit.labels.config import LOWER, STOP

KEYS = ("utt", "path")
COLUMNS = ("emotion", "intensity", "statement")
LAYOUT = (
    "a table 'utt<TAB>emotion' or 'path<TAB>emotion', with or without that header line; with it, "
    "columns 'intensity' and 'statement' may follow."
)
_NAMED = 3  # utterances named in a message


def read_labels(
    path: Path,
    items: Sequence[Item],
    base: Path,
    unread: Sequence[Item] = (),
) -> tuple[list[Item], dict[str, dict[str, str]]]:
    """Label tables of a set (``utt2emotion`` ...), and the utterances that have a label.

    Utterances without a label are left out and counted.

    Args:
        base: folder that relative paths in the table are of, besides the table's own.
        unread: recordings that are not read, whose labels are passed over.

    Raises:
        UserError: a line that does not fit, an unknown or twice labelled utterance, no labels.
    """
    path = full_path(path)
    header, rows = _rows(path)
    found: dict[str, dict[str, str]] = {name: {} for name in header[1:]}
    by_name, passed = _names(items), _names(unread)
    for number, cells in rows:
        utterance = _find(cells[0], by_name, (path.parent, base))
        if utterance is None and _find(cells[0], passed, (path.parent, base)):
            continue
        if utterance is None:
            near = closest(cells[0], [item.utterance for item in items])
            raise UserError(
                f"{path}:{number}: there is no utterance '{cells[0]}'.{near}",
                "The first column is an utterance id (as SPEAKER-FILE), or a path of a recording.",
            )
        if utterance in found["emotion"]:
            raise UserError(f"{path}:{number}: '{utterance}' is labelled twice.")
        for name, value in zip(header[1:], cells[1:], strict=True):
            if value:
                found[name][utterance] = value
            elif name == "emotion":
                raise UserError(f"{path}:{number}: '{cells[0]}' has no emotion.")
    kept = [item for item in items if item.utterance in found["emotion"]]
    if not kept:
        raise UserError(f"{path} labels no utterance.", f"Expected: {LAYOUT}")
    if len(kept) < len(items):
        without = [i.utterance for i in items if i.utterance not in found["emotion"]]
        some = ", ".join(without[:_NAMED])
        logger.warning(f"{len(without)} utterances have no label in {path}; left out: {some} ...")
    return kept, {f"utt2{name}": table for name, table in found.items() if table}


def choose_case(labels: Mapping[str, str], path: Path, case: str) -> dict[str, str]:
    """Labels by utterance, as classes that differ in case only are to be treated.

    Args:
        path: that they are from, for messages.
        case: ``stop`` at such classes, write all in ``lower`` case, or ``keep`` them.

    Raises:
        UserError: there are such classes, and it is to stop.
    """
    if case == STOP:
        emotions.require_one_case(labels.values(), path, "")
    return {name: value.lower() if case == LOWER else value for name, value in labels.items()}


def _rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Names of the columns; line number and cells of every line that is not empty."""
    if not path.is_file():
        raise ConfigError("labels", f"{path} is not a file.", f"Expected: {LAYOUT}")
    header: tuple[str, ...] = ("utt", "emotion")
    found = read_rows(path)
    rows: list[tuple[int, list[str]]] = []
    for place, (number, raw) in enumerate(found.rows):
        cells = [composed(" ".join(cell.split())) for cell in raw]
        if place == 0 and cells[0].lower() in KEYS:
            header = tuple(name.lower() for name in cells)
            check_columns(path, header[1:], COLUMNS, "emotion", LAYOUT)
        elif len(cells) != len(header) or not cells[0]:
            raise found.misfit(number, cells, header)
        else:
            rows.append((number, cells))
    return header, rows


def check_columns(
    path: Path, names: Sequence[str], known: Sequence[str], needed: str, layout: str
) -> None:
    """Raise UserError for an unknown or repeated column, or where the needed one is missing."""
    for name in names:
        if name not in known or names.count(name) > 1:
            raise UserError(
                f"{path}:1: the column '{name}' is not known or comes twice.{closest(name, known)}",
                f"Accepted: {', '.join(known)}. Expected: {layout}",
            )
    if needed not in names:
        raise UserError(f"{path}:1: there is no column '{needed}'.", f"Expected: {layout}")


def _names(items: Sequence[Item]) -> dict[str, str]:
    """Utterance id and absolute path of the audio -> utterance id."""
    names = {composed(os.path.normpath(item.audio)): item.utterance for item in items}
    return names | {item.utterance: item.utterance for item in items}


def _find(name: str, known: Mapping[str, str], folders: Sequence[Path]) -> str | None:
    if name in known:
        return known[name]
    for folder in folders:  # joining drops the folder in front of an absolute path
        joined = os.path.join(folder, name)  # noqa: PTH118
        found = known.get(composed(os.path.normpath(joined)))
        if found is not None:
            return found
    return None
