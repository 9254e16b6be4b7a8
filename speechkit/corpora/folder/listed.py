"""Recordings that a table lists: one's own, or the ``metadata`` of a Hugging Face audio folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from speechkit.base import media
from speechkit.base.audio_file import SUFFIXES
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.text import check_path, composed, missing, visible
from speechkit.corpora.common import CorpusSet, Item, Names, find_audio, full_path, parse_gender
from speechkit.corpora.folder import tables
from speechkit.corpora.folder.folders import LAYOUT, is_audio, split_folders
from speechkit.corpora.folder.speakers import Speakers

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
HUB = (
    f"a folder with audio and a metadata.csv or metadata.jsonl whose column '{FILE_NAME}' names it."
)


def read_list(path: Path, names: Names, speakers: Speakers, unnamed: bool = False) -> CorpusSet:
    """One set of the files that a table lists: CSV, tab-separated, or JSON lines.

    Without a header line its columns are path, speaker and, where present, text. With one they
    are the named ones, in any order and case. Relative paths are relative to the table.

    Args:
        unnamed: a pattern says who speaks where the table does not.

    Raises:
        UserError: a line that does not fit, with its number.
    """
    if is_audio(path):
        raise UserError(f"{path} is one audio file.", f"Expected: {LAYOUT}")
    needed = (tables.PATH,) if unnamed else (tables.PATH, tables.SPEAKER)
    return _read(path, LAYOUT, needed, names, speakers)


def _read(
    table: Path,
    layout: str,
    needed: Sequence[str],
    names: Names,
    speakers: Speakers,
    named: str = "",
) -> CorpusSet:
    """One set of what a table lists; ``named`` as for :func:`tables.read_table`, of a table whose
    files all lie below its folder."""
    rows = tables.read_table(table, layout, needed, named).rows
    if not rows:
        raise UserError(f"{table} lists no audio.", f"Expected: {layout}")
    names.speakers(sorted({row["speaker"] for _, row in rows if "speaker" in row}))
    whole = CorpusSet("", [])
    for number, row in rows:
        given = os.path.normpath(row["path"]) if named else row["path"]
        if named and (Path(given).is_absolute() or ".." in Path(given).parts):
            raise UserError(
                f"{table}:{number}: '{row['path']}' lies outside of {table.parent}.",
                f"'{named}' is a path from that folder on.",
            )
        file = _file(table, number, given)
        where = Path(file.name) if "speaker" in row else Path(given)
        utterance, speaker = speakers.place(where, row.get("speaker", ""), row.get("utt", ""))
        add(whole, Item(utterance, file, speaker), row, f"{table}:{number}")
    return whole


def metadata_of(path: Path) -> Path | None:
    """The table of a Hugging Face audio folder; None where it has none.

    Raises:
        UserError: there are two, or one of a kind that is not read.
    """
    found = [path / name for name in METADATA if (path / name).is_file()]
    if len(found) > 1:
        raise UserError(f"{path} has {found[0].name} and {found[1].name}.", "Remove one of them.")
    if found and found[0].suffix == ".parquet":
        raise UserError(
            f"{found[0]}: metadata in this format is not read.",
            "Convert it: python -c \"import pandas; pandas.read_parquet('metadata.parquet')"
            ".to_csv('metadata.csv', index=False)\"",
        )
    return found[0] if found else None


def hub_parts(path: Path) -> dict[str, Path]:
    """Part of a Hugging Face audio folder -> its table; ``""`` for one of a single part."""
    if (own := metadata_of(path)) is not None:
        return {"": own}
    tables_of = {one.name: metadata_of(one) for one in split_folders(path)}
    return {name: table for name, table in tables_of.items() if table is not None}


def read_metadata(table: Path, names: Names, speakers: Speakers) -> CorpusSet:
    """One set of the recordings that ``metadata.csv`` or ``metadata.jsonl`` describes.

    Raises:
        UserError: a line that does not fit, or whose file lies outside of the folder.
    """
    whole = _read(table, HUB, (tables.PATH,), names, speakers, FILE_NAME)
    listed = {composed(str(item.audio)) for item in whole.items}
    others = find_audio(table.parent, (*SUFFIXES, *media.SUFFIXES))
    left = [p for p in others if composed(str(p)) not in listed]
    if left:
        many = counted(len(left), "recording")
        logger.warning(f"{table} does not list {many}, as {left[0]}; left out.")
    return whole


def add(whole: CorpusSet, item: Item, row: Mapping[str, str], where: str) -> None:
    """Add a recording, with what its row says of it and of its speaker.

    Args:
        row: column of :data:`tables.COLUMNS` -> value.
        where: the row is, for messages.

    Raises:
        UserError: a gender or age that is none, or another than above.
    """
    speaker, text = item.speaker, composed(visible(row.get("text", "")))
    whole.items.append(replace(item, text=text) if text else item)
    if row.get("gender"):
        _once(whole.gender, speaker, parse_gender(row["gender"], where), where)
    if row.get("age"):
        if not row["age"].isdecimal():
            raise UserError(f"{where}: the age '{row['age']}' is not a whole number of years.")
        _once(whole.age, speaker, row["age"], where)
    for label in tables.LABELS:
        if row.get(label):
            value = composed(" ".join(row[label].split()))
            whole.tables.setdefault(f"utt2{label}", {})[item.utterance] = value


def _file(table: Path, number: int, given: str) -> Path:
    if problem := check_path(given):
        raise UserError(f"{table}:{number}: the path cannot be: {problem}.")
    # os.path.join, as for an absolute path it drops the folder in front
    file = full_path(Path(os.path.join(table.parent, given)))  # noqa: PTH118
    if "\\" in given and not file.exists():
        reason, remedy = missing(given)
        raise UserError(f"{table}:{number}: {given}: {reason}.", remedy)
    return file


def _once(table: dict[str, str], speaker: str, value: str, where: str) -> None:
    if table.setdefault(speaker, value) != value:
        raise UserError(f"{where}: '{speaker}' is '{value}' here, but '{table[speaker]}' above.")
