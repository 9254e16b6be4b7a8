"""WSJ0 (LDC93S6A): ``wsj0/si_tr_s``, ``si_dt_05``, ``si_et_05`` with one folder per speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.text import read_lines
from speechkit.corpora.common import (
    GENDERS,
    Corpus,
    CorpusSet,
    Item,
    find_audio,
    full_path,
    read_gender,
    require_folder,
    subfolders,
)

LAYOUT = (
    "wsj0/si_tr_s, wsj0/si_dt_05 and wsj0/si_et_05 as published, "
    "with folders of .wv1 or .wav files by speaker."
)
SETS = {"train": ("si_tr_s", "s_tr_s"), "dev": ("si_dt_05",), "test": ("si_et_05",)}
# Both microphones have the same names but for the ending; .wv1 is the close one.
SUFFIXES = (".wav", ".flac", ".wv1")


def read_corpus(path: Path, gender_file: Path | None = None) -> Corpus:
    """Read the sets that are there.

    Args:
        path: the corpus: the folder with ``si_tr_s``, one that holds ``wsj0``, or one that
            holds the discs (``11-1.1/wsj0/...``).
        gender_file: table ``speaker<TAB>m|f``; without it, ``spkrinfo.txt`` of the corpus.

    Raises:
        UserError: none of the three parts is there, or one holds no audio.
    """
    root = require_folder(path, LAYOUT)
    homes = _homes(root)
    tables = [full_path(gender_file)] if gender_file else _speaker_tables(homes)
    read = read_gender if gender_file else read_spkrinfo
    gender = {name.lower(): value for table in tables for name, value in read(table).items()}
    if not tables:
        logger.warning(
            f"{root} has no doc/spkrinfo.txt: genders are unknown (--gender gives them)."
        )
    sets = []
    for name, parts in SETS.items():
        folders = [f for home in homes for f in subfolders(home) if f.name.lower() in parts]
        if folders:
            sets.append(CorpusSet(name, _read_part(folders), gender))
        else:
            logger.warning(f"{root} has no {parts[0]}: the set '{name}' is not made.")
    if not sets:
        raise UserError(f"{root} is not WSJ0: no si_tr_s was found.", f"Expected: {LAYOUT}")
    return Corpus("prepare wsj0", {"path": str(root)}, sets, tables)


def _homes(root: Path) -> list[Path]:
    """Folders that may hold ``si_tr_s``: the root, its ``wsj0``, and those of the discs."""
    discs = subfolders(root)
    inner = [folder for disc in discs for folder in subfolders(disc)]
    return [root, *(folder for folder in [*discs, *inner] if folder.name.lower() == "wsj0")]


def _speaker_tables(homes: Sequence[Path]) -> list[Path]:
    folders = [f for home in homes for f in subfolders(home) if f.name.lower() == "doc"]
    return sorted(p for f in folders for p in f.iterdir() if "spkrinfo" in p.name.lower())


def read_spkrinfo(path: Path) -> dict[str, str]:
    """Speaker -> gender from lines that begin ``ID  M|F``; all other lines are prose."""
    rows = (line.split() for line in read_lines(path) if not line.startswith(";"))
    return {
        row[0].lower(): GENDERS[row[1].lower()]
        for row in rows
        if len(row) >= 2 and len(row[0]) == 3 and row[1].lower() in GENDERS
    }


def _read_part(folders: Sequence[Path]) -> list[Item]:
    """Utterances of one part of the corpus; WAV is taken where a file is there in both forms."""
    choices: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for part in folders:
        for home in subfolders(part):
            for file in find_audio(home, SUFFIXES):
                choices[home.name.lower(), file.stem.lower()].append(file)
    if not choices:
        raise UserError(
            f"No audio was found in {folders[0]}.",
            f"Expected: one folder per speaker with files that end in {', '.join(SUFFIXES)}.",
        )
    items = []
    for (speaker, stem), files in choices.items():
        decoded = [file for file in files if file.suffix.lower() != ".wv1"]
        utterance = stem if stem.startswith(speaker) else f"{speaker}-{stem}"
        for file in decoded or files:
            items.append(Item(utterance, file, speaker, sphere=not decoded))
    return items
