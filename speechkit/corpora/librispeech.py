"""LibriSpeech (and LibriTTS): ``SUBSET/SPEAKER/CHAPTER/*.flac``, ``*.trans.txt``.

Layout: https://www.openslr.org/12 (README.TXT of the corpus).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.base.log import counted, logger
from speechkit.base.text import read_lines
from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Item,
    find_audio,
    parse_gender,
    require_folder,
    subfolders,
    utterance_id,
)
from speechkit.corpora.config import LibriSpeechConfig

LAYOUT = "LibriSpeech as published: SUBSET/SPEAKER/CHAPTER/*.flac, and SPEAKERS.TXT."
_HOMES = ("LibriSpeech", "LibriTTS", "LibriTTS_R")


def read_corpus(path: Path, config: LibriSpeechConfig | None = None) -> Corpus:
    """Read the subsets that are there.

    Args:
        path: the corpus, or the folder that holds ``LibriSpeech``.

    Raises:
        UserError: another layout, an unknown subset, a broken SPEAKERS.TXT or transcript.
    """
    root = _find_root(require_folder(path, LAYOUT))
    subsets = _subsets(root)
    to = config.to if config else ()
    wanted = parse_to(to, subsets) if to else {name.replace("-", "_"): [name] for name in subsets}
    table = next((p for p in sorted(root.iterdir()) if p.name.lower() == "speakers.txt"), None)
    gender = read_speakers(table) if table else {}
    if table is None:
        logger.warning(f"{root} has no SPEAKERS.TXT: genders are unknown.")
    sets = []
    for name, parts in wanted.items():
        made = CorpusSet(name, [], gender)
        for part in parts:
            _read_subset(root / part, made)
        sets.append(made)
    params = {"path": str(root), "to": wanted}
    return Corpus("prepare librispeech", params, sets, [table] if table else [])


def _find_root(path: Path) -> Path:
    for root in (path, *(path / name for name in _HOMES)):
        if root.is_dir() and _subsets(root):
            return root
    if _is_subset(path):
        raise UserError(
            f"{path} is one subset.", f"Give its parent {path.parent}, and choose with `to`."
        )
    raise UserError(f"No subset of LibriSpeech was found in {path}.", f"Expected: {LAYOUT}")


def _subsets(root: Path) -> list[str]:
    return [folder.name for folder in subfolders(root) if _is_subset(folder)]


def _is_subset(folder: Path) -> bool:
    """Whether a folder holds a folder SPEAKER/CHAPTER, both of digits."""
    return any(
        chapter.name.isdigit()
        for speaker in subfolders(folder)
        if speaker.name.isdigit()
        for chapter in subfolders(speaker)
    )


def parse_to(to: Sequence[str], subsets: Sequence[str]) -> dict[str, list[str]]:
    """``["train=train-clean-100,train-clean-360"]`` -> set -> subsets.

    Raises:
        UserError: another form, an unknown subset, a set or a subset within it given twice.
    """
    wanted: dict[str, list[str]] = {}
    for text in to:
        name, _, parts = text.partition("=")
        chosen = [part.strip() for part in parts.split(",")]
        if not name.strip() or not all(chosen) or name.strip() in wanted:
            raise ConfigError(
                "to",
                f"'{text}' is not SET=SUBSET[,SUBSET...], or its set comes twice.",
                "Example: `to` train=train-clean-100,train-clean-360 `to` dev=dev-clean",
            )
        for part in chosen:
            require_choice("The subset", part, subsets)
        if len(set(chosen)) < len(chosen):
            raise ConfigError("to", f"'{text}' names a subset twice.")
        wanted[name.strip()] = chosen
    return wanted


def read_speakers(path: Path) -> dict[str, str]:
    """Speaker -> gender from ``ID | SEX | SUBSET | MINUTES | NAME`` (``;`` begins a comment)."""
    gender = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = [value.strip() for value in line.split("|")]
        if len(fields) < 3 or not fields[0].isdigit():
            if fields[0].upper() in ("ID", "READER"):  # a header without the comment sign
                continue
            raise UserError(
                f"{path}:{number}: expected 'ID | SEX | SUBSET | MINUTES | NAME', found '{line}'."
            )
        gender[fields[0]] = parse_gender(fields[1], f"{path}:{number}")
    return gender


def _read_subset(folder: Path, made: CorpusSet) -> None:
    """Add the utterances of one subset to a set."""
    texts: dict[str, str] = {}
    for speaker in subfolders(folder):
        if not speaker.name.isdigit():
            continue
        for chapter in subfolders(speaker):
            for table in sorted(chapter.glob("*.trans.txt")):
                made.transcripts.append(table)
                _read_transcripts(table, texts)
        for file in find_audio(speaker):
            text = texts.pop(file.stem, "")
            made.items.append(Item(utterance_id(speaker.name, file.stem), file, speaker.name, text))
    if texts:
        logger.warning(
            f"{folder}: {counted(len(texts), 'transcript has', 'transcripts have')} no audio "
            f"({', '.join(sorted(texts)[:3])})."
        )


def _read_transcripts(path: Path, texts: dict[str, str]) -> None:
    """Add lines ``UTTERANCE TEXT`` of one chapter."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        utterance, *text = line.split(maxsplit=1)
        if utterance in texts:
            raise UserError(f"{path}:{number}: the utterance '{utterance}' comes twice.")
        texts[utterance] = text[0] if text else ""
