"""Anyone's own data: a folder with one subfolder per speaker, or a table of files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base import media
from speechkit.base.audio_file import SUFFIXES, UNREAD_SUFFIXES
from speechkit.base.errors import ConfigError, UserError
from speechkit.base.log import logger
from speechkit.base.text import check_path, composed, missing, visible
from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Item,
    Names,
    find_audio,
    full_path,
    parse_gender,
    parse_split,
    read_gender,
    require_folder,
    split_speakers,
    subfolders,
    utterance_id,
)
from speechkit.corpora.config import FolderConfig
from speechkit.corpora.folder import tables
from speechkit.corpora.folder.labels import choose_case, read_labels
from speechkit.corpora.folder.scores import read_raters, read_scores
from speechkit.labels import emotions
from speechkit.labels.config import KEEP, STOP

EMOTION = "utt2emotion"
LAYOUT = (
    "a folder with one subfolder of audio per speaker, or a table 'path<TAB>speaker[<TAB>text]' "
    "(.csv: with commas)."
)

_CONVERT = "Convert them, as with: ffmpeg -i FILE FILE.wav"


def read_corpus(path: Path, config: FolderConfig | None = None) -> Corpus:
    """Read own data into one set, or into several with different speakers.

    Args:
        path: the folder or table.
        config: what is known of it.

    Raises:
        UserError: nothing there, no audio, unknown speakers, a bad table or split, scores
            that cannot be read or do not fit.
    """
    config, path = config or FolderConfig(), full_path(path)
    case, labels, gender = config.case, config.labels, config.gender_file
    shares = parse_split(config.split) if config.split else {config.set_name: 1.0}
    names = Names()
    whole = read_table(path, names) if path.is_file() else read_folder(path, names)
    if gender is not None:
        whole.gender.update(_genders(gender, whole, names))
    names.report()
    params: dict[str, Any] = {"path": str(path)}
    if config.split:
        params.update(split=shares, seed=config.seed)
    metadata = [p for p in (path, gender) if p is not None and p.is_file()]
    metadata += _add_scores(whole, config.scores, config.raters, config.scales)
    for what in ("scores", "raters", "labels"):
        if (given := getattr(config, what)) is not None:
            params[what] = str(full_path(given))
    if config.scales:
        params.update(scales=config.scales)
    if labels is not None:
        base = path if path.is_dir() else path.parent
        whole.items, whole.tables = read_labels(labels, whole.items, base, whole.unread)
        metadata.append(full_path(labels))
    if found := whole.tables.get(EMOTION):
        whole.tables[EMOTION] = choose_case(found, labels or path, case)
        if case != STOP:
            params.update(label_case=case)
        if case == KEEP:
            whole.files[emotions.CASE_FILE] = f"{case}\n"
    return Corpus("prepare folder", params, split_speakers(whole, shares, config.seed), metadata)


def _add_scores(
    whole: CorpusSet, scores: Path | None, raters: Path | None, scales: str
) -> list[Path]:
    """Read scores of pronunciation into a set; the files that were read."""
    if scales and scores is None and raters is None:
        raise ConfigError(
            "score_scales", f"{scales} is given, but no scores.", "Add `scores` or `raters`."
        )
    texts = {item.utterance: item.text for item in whole.items}
    read: list[Path] = []
    if scores is not None:
        whole.scores, read = read_scores(full_path(scores), texts, scales)
    if raters is not None:
        whole.scores, whole.raters, more = read_raters(raters, texts, whole.scores, scales)
        read += more
    return read


def read_folder(path: Path, names: Names) -> CorpusSet:
    """One set of all audio below a folder; its subfolders are the speakers."""
    path = require_folder(path, LAYOUT)
    outside = [p for p in sorted(path.iterdir()) if p.is_file() and _is_audio(p)]
    stray = [p.name for p in outside if _is_read(p)]
    if stray:
        raise UserError(
            f"{path}: {len(stray)} audio files ({stray[0]}) lie outside the speakers' subfolders.",
            "Move each into a subfolder with the speaker's name, or give a table "
            "'path<TAB>speaker' instead of the folder.",
        )
    every = (*SUFFIXES, *media.SUFFIXES, *UNREAD_SUFFIXES)
    found = {folder.name: find_audio(folder, every) for folder in subfolders(path)}
    unread = [file for files in found.values() for file in files if not _is_read(file)]
    unread = [p for p in outside if not _is_read(p)] + unread
    heard = {name for name, files in found.items() if any(map(_is_read, files))}
    if not heard:
        raise UserError(
            f"No audio was found in {path}."
            + (f" Recordings: {_not_read(unread)}" if unread else ""),
            _remedy(unread)
            if unread
            else f"Expected: {LAYOUT} Audio ends in {', '.join(SUFFIXES)}.",
        )
    for name in sorted(set(found) - heard):
        what = "no audio that can be read" if found[name] else "no audio"
        logger.warning(f"{path / name}: {what} in this folder; no such speaker is made.")
    if unread:
        logger.warning(f"{path}: recordings left out: {_not_read(unread)} {_remedy(unread)}")
    speakers = names.speakers(name for name, files in found.items() if files)
    whole = CorpusSet("", [])
    for name, speaker in speakers.items():
        for file in found[name]:
            read = _is_read(file)  # else its ending is kept: FILE.m4a may lie beside FILE.wav
            inside = file.relative_to(path / name)
            parts = [names.clean(p) for p in (inside.with_suffix("") if read else inside).parts]
            item = Item(utterance_id(speaker, *parts), file, speaker)
            (whole.items if read else whole.unread).append(item)
    return whole


def _not_read(files: Sequence[Path]) -> str:
    """How many recordings of which formats are not read, and one of them."""
    kinds = Counter(file.suffix.lower() for file in files)
    some = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(files)} in formats that are not read ({some}; {files[0].name})."


def _remedy(unread: Sequence[Path]) -> str:
    """What to do about recordings that are not read."""
    some = any(file.suffix.lower() in media.SUFFIXES for file in unread)
    return f"For some of them: {media.remedy()}. {_CONVERT}" if some else _CONVERT


def _is_audio(path: Path) -> bool:
    ending = path.suffix.lower()
    known = ending in SUFFIXES or ending in media.SUFFIXES or ending in UNREAD_SUFFIXES
    return known and not path.name.startswith(".")


def _is_read(path: Path) -> bool:
    ending = path.suffix.lower()
    return ending in SUFFIXES or (ending in media.SUFFIXES and media.installed())


def read_table(path: Path, names: Names) -> CorpusSet:
    """One set of the files that a table lists: CSV, tab-separated, or JSON lines.

    Without a header line its columns are path, speaker and, where present, text. With one they
    are the named ones, in any order and case. Relative paths are relative to the table.

    Raises:
        UserError: a line that does not fit, with its number.
    """
    if _is_audio(path):
        raise UserError(f"{path} is one audio file.", f"Expected: {LAYOUT}")
    rows = tables.read_table(path, LAYOUT).rows
    if not rows:
        raise UserError(f"{path} lists no audio.", f"Expected: {LAYOUT}")
    speakers = names.speakers(sorted({row["speaker"] for _, row in rows}))
    whole = CorpusSet("", [])
    for number, row in rows:
        speaker = speakers[row["speaker"]]
        file = _file(path, number, row["path"])
        utterance = names.clean(row.get("utt", "")) or utterance_id(speaker, names.clean(file.stem))
        text = composed(visible(row.get("text", "")))
        whole.items.append(Item(utterance, file, speaker, text))
        _describe(whole, row, speaker, utterance, f"{path}:{number}")
    return whole


def _describe(
    whole: CorpusSet, row: Mapping[str, str], speaker: str, utterance: str, where: str
) -> None:
    """Note what a row says of the speaker, and its labels."""
    if row.get("gender"):
        _once(whole.gender, speaker, parse_gender(row["gender"], where), where)
    if row.get("age"):
        if not row["age"].isdecimal():
            raise UserError(f"{where}: the age '{row['age']}' is not a whole number of years.")
        _once(whole.age, speaker, row["age"], where)
    for label in tables.LABELS:
        if row.get(label):
            value = composed(" ".join(row[label].split()))
            whole.tables.setdefault(f"utt2{label}", {})[utterance] = value


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


def _genders(path: Path, whole: CorpusSet, names: Names) -> dict[str, str]:
    """Speaker id -> gender from a file, for the speakers of the set."""
    given = {names.clean(name): value for name, value in read_gender(full_path(path)).items()}
    speakers = {item.speaker for item in whole.items}
    for what, some in (
        (f"speakers of {path} have no audio", set(given) - speakers),
        (f"speakers are not in {path}; their gender is unknown", speakers - set(given)),
    ):
        if some:
            logger.warning(f"{len(some)} {what} ({', '.join(sorted(some)[:3])}).")
    return given
