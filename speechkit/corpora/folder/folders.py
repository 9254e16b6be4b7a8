"""Folders of audio: one subfolder a speaker, or one a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechkit.base import media
from speechkit.base.audio_file import SUFFIXES, UNREAD_SUFFIXES
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.text import composed, read_text, visible
from speechkit.corpora.common import (
    CorpusSet,
    Item,
    Names,
    find_audio,
    require_folder,
    subfolders,
    utterance_id,
)
from speechkit.corpora.config import CLASS, SPEAKER
from speechkit.corpora.folder.speakers import Speakers

LAYOUT = (
    "a folder with one subfolder of audio per speaker, or a table 'path<TAB>speaker[<TAB>text]' "
    "(.csv: with commas)."
)
SPLITS = ("train", "training", "dev", "val", "valid", "validation", "test", "testing", "eval")
_FELT = re.compile(
    r"(?i)(?<![a-z])(ang(er|ry)?|hap(py)?|happiness|joy(ful)?|sad(ness)?|fear(ful)?|afraid|scared|"
    r"disgust(ed)?|surprised?|neutral|calm(ness)?|bor(ed|edom)|contempt|excite(d|ment)|"
    r"frustrat(ed|ion)|amused|amusement|anxi(ous|ety)|sleepy|sleepiness|pleasant[_ ]surprised?|"
    r"proud|pride|shame|relief|rage|grief|sorrow)(?![a-z])"
)
TEXT_SUFFIXES = (".lab", ".txt", ".LAB", ".TXT")
_TIMES = re.compile(r"0 \d{3,} ")
_CONVERT = "Convert them, as with: ffmpeg -i FILE FILE.wav"


def read_speakers(path: Path, names: Names, layout: str) -> CorpusSet:
    """One set of all audio below a folder; its subfolders are the speakers.

    Args:
        layout: as given; empty where nobody said that they are speakers.

    Raises:
        UserError: no audio that can be read, some outside of the subfolders, or subfolders whose
            names are emotions.
    """
    found, outside = _audio_by_folder(path, "speaker")
    if layout != SPEAKER:
        _refuse_emotions(path, found)
    speakers = names.speakers(name for name, files in found.items() if files)
    whole = CorpusSet("", [])
    for name, speaker in speakers.items():
        for file in found[name]:
            read = is_read(file)  # else its ending is kept: FILE.wma may lie beside FILE.wav
            inside = file.relative_to(path / name)
            parts = [names.clean(p) for p in (inside.with_suffix("") if read else inside).parts]
            text = _text_beside(file, whole.transcripts) if read else ""
            item = Item(utterance_id(speaker, *parts), file, speaker, text)
            (whole.items if read else whole.unread).append(item)
    if whole.transcripts and (without := sum(not item.text for item in whole.items)):
        few = counted(without, "recording has", "recordings have")
        logger.warning(f"{path}: {few} no text beside it, as others have.")
    _say_unread(path, found, outside, "speaker")
    return whole


def _text_beside(file: Path, transcripts: list[Path]) -> str:
    """What a recording says, by the .lab or .txt file of its name, as for the Montreal Forced
    Aligner reads it; what begins with a time, ``0 46797``, is no text but labels."""
    for beside in (file.with_suffix(ending) for ending in TEXT_SUFFIXES):
        if beside.is_file():
            text = composed(visible(" ".join(read_text(beside).split())))
            if text and not _TIMES.match(text):
                transcripts.append(beside)
                return text
    return ""


def read_classes(path: Path, speakers: Speakers) -> CorpusSet:
    """One set of all audio below a folder; its subfolders are classes of emotion."""
    found, outside = _audio_by_folder(path, CLASS)
    whole = CorpusSet("", [], tables={"utt2emotion": {}})
    for name, files in found.items():
        for file in files:
            utterance, speaker = speakers.place(file.relative_to(path))
            item = Item(utterance, file, speaker)
            (whole.items if is_read(file) else whole.unread).append(item)
            if is_read(file):
                whole.tables["utt2emotion"][utterance] = composed(" ".join(name.split()))
    pairs = {(item.speaker, whole.tables["utt2emotion"][item.utterance]) for item in whole.items}
    voices = {speaker for speaker, _ in pairs}
    if 1 < len(pairs) == len(voices) == len({label for _, label in pairs}) < len(whole.items):
        logger.warning(f"{path}: each folder has one speaker, of its own: are they classes?")
    _say_unread(path, found, outside, CLASS)
    return whole


def split_folders(path: Path) -> list[Path]:
    """Subfolders that are parts of a corpus (train, test ...); none unless all of them are."""
    inside = {one.name.lower(): one for one in subfolders(path)}
    return [inside[name] for name in SPLITS if name in inside] if set(inside) <= set(SPLITS) else []


def _audio_by_folder(path: Path, what: str) -> tuple[dict[str, list[Path]], list[Path]]:
    """Audio by subfolder, also what is not read, and what lies outside of them.

    Raises:
        UserError: no audio that can be read, or some of it lies outside.
    """
    path = require_folder(path, LAYOUT)
    outside = [p for p in sorted(path.iterdir()) if p.is_file() and is_audio(p)]
    stray = [p.name for p in outside if is_read(p)]
    if stray:
        raise UserError(
            f"{path}: {counted(len(stray), 'audio file lies', 'audio files lie')} outside the "
            f"{'speakers' if what == 'speaker' else 'classes'}' subfolders ({stray[0]}).",
            f"Move each into a subfolder with the {what}'s name, or give a table "
            "'path<TAB>speaker' instead of the folder.",
        )
    every = (*SUFFIXES, *media.SUFFIXES, *UNREAD_SUFFIXES)
    found = {folder.name: find_audio(folder, every) for folder in subfolders(path)}
    if not any(is_read(file) for files in found.values() for file in files):
        unread = [*outside, *(file for files in found.values() for file in files)]
        wanted = f"Expected: {LAYOUT} Audio ends in {', '.join(SUFFIXES)}."
        raise UserError(
            f"No audio was found in {path}."
            + (f" Recordings: {_not_read(unread)}" if unread else ""),
            _remedy(unread) if unread else wanted,
        )
    return found, outside


def _say_unread(
    path: Path, found: Mapping[str, Sequence[Path]], outside: Sequence[Path], what: str
) -> None:
    """Warn of folders without audio, and of recordings that are left out."""
    for name in sorted(name for name, files in found.items() if not any(map(is_read, files))):
        none = "no audio that can be read" if found[name] else "no audio"
        logger.warning(f"{path / name}: {none} in this folder; no such {what} is made.")
    tables = sorted(p.name for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
    if tables:
        logger.warning(f"{path}: {tables[0]} is not read. If it lists the recordings, name it.")
    unread = [p for files in (outside, *found.values()) for p in files if not is_read(p)]
    if unread:
        logger.warning(f"{path}: recordings left out: {_not_read(unread)} {_remedy(unread)}")


def _refuse_emotions(path: Path, found: Mapping[str, Sequence[Path]]) -> None:
    """Raise UserError where folders are called like emotions: are they speakers or classes?"""
    counts = {name: len(files) for name, files in found.items() if files}
    if counts and all(name.lower() in SPLITS for name in counts):
        nested = [file.relative_to(path).parts for files in found.values() for file in files]
        counts = dict(Counter(parts[1] for parts in nested if len(parts) > 2))
    felt = [name for name in counts if _FELT.search(name)]
    if len(felt) < 2 or 2 * len(felt) < len(counts):
        return
    some = ", ".join(f"{name} ({counts[name]})" for name in sorted(counts)[:12])
    more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
    raise UserError(
        f"{path}: its folders are called like emotions, with so many recordings: {some}{more}.",
        f"If they are classes, give `layout` {CLASS}; if they are speakers, `layout` {SPEAKER}.",
    )


def _not_read(files: Sequence[Path]) -> str:
    """How many recordings of which formats are not read, and one of them."""
    kinds = Counter(file.suffix.lower() for file in files)
    some = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(files)} in formats that are not read ({some}; {files[0].name})."


def _remedy(unread: Sequence[Path]) -> str:
    """What to do about recordings that are not read."""
    some = any(file.suffix.lower() in media.SUFFIXES for file in unread)
    return f"For some of them: {media.remedy()}. {_CONVERT}" if some else _CONVERT


def is_audio(path: Path) -> bool:
    """Whether a file is a recording, by its ending."""
    ending = path.suffix.lower()
    known = ending in SUFFIXES or ending in media.SUFFIXES or ending in UNREAD_SUFFIXES
    return known and not path.name.startswith(".")


def is_read(path: Path) -> bool:
    """Whether a recording can be read here, by its ending."""
    ending = path.suffix.lower()
    return ending in SUFFIXES or (ending in media.SUFFIXES and media.installed())
