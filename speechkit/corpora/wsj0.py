"""WSJ0 (LDC93S6A), and WSJ0-2mix and WSJ0-3mix as generated of it.

WSJ0: ``wsj0/si_tr_s``, ``si_dt_05``, ``si_et_05`` with one folder per speaker.

Mixtures: ``wav8k/min/{tr,cv,tt}/{mix,s1,s2}/*.wav``. Layout: Hershey et al., "Deep clustering:
discriminative embeddings for segmentation and separation" (2016), and the scripts published
with it. Any folder with ``mix`` (or ``mix_clean``, as LibriMix has it), ``s1`` and ``s2`` is read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import power
from speechkit.base.audio_container import FULL_SCALE
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import counted, logger
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
from speechkit.corpora.config import Wsj0Config, Wsj0MixConfig
from speechkit.corpora.folder.speakers import compiled
from speechkit.corpora.mixture_sets import (
    CheckedMixture,
    MixtureCorpusSet,
    UncheckedMixture,
    write_sets,
)
from speechkit.corpora.sphere import to_wav
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import MODES, Header, Mixture, Source
from speechkit.workdir import WorkDir

LAYOUT = (
    "wsj0/si_tr_s, wsj0/si_dt_05 and wsj0/si_et_05 as published, "
    "with folders of .wv1 or .wav files by speaker."
)
SETS = {"train": ("si_tr_s", "s_tr_s"), "dev": ("si_dt_05",), "test": ("si_et_05",)}
# Both microphones have the same names but for the ending; .wv1 is the close one.
SUFFIXES = (".wav", ".flac", ".wv1")
MIX_LAYOUT = "WSJ0-2mix as generated: .../wav8k/min/{tr,cv,tt}/{mix,s1,s2}/*.wav"
MIXES = ("mix", "mix_clean")  # the second is LibriMix's
DEPTH = 5  # folders between PATH and one with mix/, s1/ and s2/
NOT_THE_SUM_DB = -40.0  # of the mixture minus the sum of its sources, to the mixture
# WSJ0 names: 01to030v_0.76421_20ga010m_-0.76421; a speaker is three characters.
_WSJ = re.compile(r"([0-9a-z]{3})[0-9a-z]{5}_-?[0-9.]+(?:e-?[0-9]+)?(?:_|$)", re.IGNORECASE)


def read_corpus(path: Path, config: Wsj0Config) -> Corpus:
    """Read the sets that are there.

    Args:
        path: the corpus: the folder with ``si_tr_s``, one that holds ``wsj0``, or one that
            holds the discs (``11-1.1/wsj0/...``).
        config: without its table of genders ``spkrinfo.txt`` of the corpus is read.

    Raises:
        UserError: none of the three parts is there, or one holds no audio.
    """
    root = require_folder(path, LAYOUT)
    homes = _homes(root)
    gender_file = config.gender_file
    tables = [full_path(gender_file)] if gender_file else _speaker_tables(homes)
    read = read_gender if gender_file else read_spkrinfo
    gender = {name.lower(): value for table in tables for name, value in read(table).items()}
    if not tables:
        logger.warning(
            f"{root} has no doc/spkrinfo.txt: genders are unknown (`gender` gives them)."
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
            items.append(
                Item(utterance, file, speaker, make=None if decoded else partial(to_wav, file))
            )
    return items


def prepare_mixtures(
    work: WorkDir,
    path: Path,
    config: Wsj0MixConfig,
    **how: Any,
) -> list[dict[str, Any]]:
    """Write one set for each folder with ``mix``, ``s1`` and ``s2``; see ``mixture_sets``.

    Args:
        config: empty names and patterns are those of WSJ0.
        how: as for :func:`speechkit.corpora.mixture_sets.write_sets`.

    Raises:
        UserError: another layout, sets of several rates or modes, unknown speakers.
    """
    root = require_folder(path, MIX_LAYOUT)
    root = root.parent if root.name in MIXES else root
    folders = _find(root)
    pattern = compiled(config.speaker_pattern)
    tables = [full_path(config.gender_file)] if config.gender_file else []
    gender = {name: value for table in tables for name, value in _genders(table).items()}
    params = {"path": str(root), "speaker_pattern": config.speaker_pattern}
    sets = [_read_set(folder, config.prefix, pattern, gender) for folder in folders]
    if len({made.name for made in sets}) < len(sets):
        homes = ", ".join(sorted({str(folder.parent) for folder in folders}))
        raise UserError(
            f"{root} holds more than one version of a set (in {homes}).",
            "Give the folder of one rate and mode, such as .../wav8k/min.",
        )
    for made in sets:
        made.metadata, made.params = tables, params
    return write_sets(work, "prepare wsj0-2mix", sets, look, **how)


def _find(root: Path) -> list[Path]:
    """Folders at or below ``root`` that hold ``mix`` or ``mix_clean``, ``s1`` and ``s2``."""
    level, found, alone = [root], [], []
    for _ in range(DEPTH):
        inner: list[Path] = []
        for folder in level:
            below = subfolders(folder)
            names = {p.name for p in below}
            if {"s1", "s2"} <= names and not names.isdisjoint(MIXES):
                found.append(folder)
            elif not names.isdisjoint(MIXES):
                alone.append(folder)
            else:
                inner += below
        level = inner
    if not found and alone:
        raise UserError(
            f"{alone[0]} holds mixtures, but no s1 and s2: without its sources a mixture can "
            "neither be learned from nor measured.",
            "Generate the sources too. LibriMix needs no audio of its own: "
            "speechkit prepare librimix METADATA.csv --librispeech DIR",
        )
    if not found:
        raise UserError(f"{root} holds no folder with mix, s1 and s2.", f"Expected: {MIX_LAYOUT}")
    return found


def _genders(path: Path) -> dict[str, str]:
    read = read_spkrinfo if "spkrinfo" in path.name.lower() else read_gender
    found = read(path)
    return {**{name.lower(): value for name, value in found.items()}, **found}


def _read_set(
    folder: Path, prefix: str, pattern: re.Pattern[str] | None, gender: dict[str, str]
) -> MixtureCorpusSet:
    count = 2
    while (folder / f"s{count + 1}").is_dir():
        count += 1
    mixed = next(folder / name for name in MIXES if (folder / name).is_dir())
    files = find_audio(mixed)
    if not files:
        raise UserError(f"{mixed} holds no audio.", f"Expected: {MIX_LAYOUT}")
    rate = audio.info(files[0]).sample_rate
    mode = next((part for part in reversed(folder.parts) if part in MODES), "")
    if not mode:
        logger.info(f"{folder}: neither 'min' nor 'max' is in its path; noted as min.")
    planned = []
    for file in files:
        name = "_".join(file.stem.split())
        sources = []
        for k, speaker in enumerate(_speakers(file, count, pattern), 1):
            wav = folder / f"s{k}" / file.relative_to(mixed)
            sources.append(Source(Utterance(f"{speaker}-{name}-s{k}", str(wav), speaker)))
        planned.append(
            UncheckedMixture(Mixture(name, 0, tuple(sources), str(file)), str(file), rate)
        )
    title = f"{prefix or f'wsj0_{count}mix'}_{folder.name}".lower().replace("-", "_")
    return MixtureCorpusSet(title, Header(rate, count, mode or "min"), planned, gender)


def _speakers(file: Path, count: int, pattern: re.Pattern[str] | None) -> list[str]:
    """Speakers of the sources, from the name of the mixture."""
    if pattern is None:
        found = [speaker.lower() for speaker in _WSJ.findall(file.stem)]
        wanted = "it is not a name of WSJ0, such as 01to030v_0.76421_20ga010m_-0.76421"
    else:
        match = pattern.search(file.stem)
        found = [group or "" for group in match.groups()] if match else []
        wanted = f"`speaker_pattern` '{pattern.pattern}' finds {counted(len(found), 'group')} in it"
    if len(found) != count or not all("".join(speaker.split()) == speaker for speaker in found):
        found = []
    if not found or not all(found):
        raise UserError(
            f"{file}: its name does not tell its {counted(count, 'speaker')}: {wanted}.",
            "Give `speaker_pattern` REGEX with one group per source, as "
            "'^(...).*_(...)' or '^([^-]+)-[^_]*_([^-]+)-'.",
        )
    return found


def look(planned: UncheckedMixture) -> CheckedMixture:
    """Length of a stored mixture, and whether it is the sum of its sources.

    Raises:
        AudioError: a file is missing or broken, or their rates or lengths differ.
    """
    mixture = planned.mixture
    mixed, rate = audio.read(mixture.wav)
    if rate != planned.rate:
        raise AudioError(
            f"{mixture.wav}: has {rate} Hz, the first mixture of the set {planned.rate} Hz.",
            "Keep rates in folders of their own, or leave it out with `on_error` skip.",
        )
    total = np.zeros(len(mixed), np.float64)
    clipped = bool(np.abs(mixed).max() >= FULL_SCALE)
    for source in mixture.sources:
        samples, own_rate = audio.read(source.utterance.wav)
        if (own_rate, len(samples)) != (rate, len(mixed)):
            raise AudioError(
                f"{source.utterance.wav}: {counted(len(samples), 'sample')} at {own_rate} Hz, its "
                f"mixture has {len(mixed)} at {rate} Hz.",
                "Generate them again, or leave them out with `on_error` skip.",
            )
        total += samples
        clipped |= bool(np.abs(samples).max() >= FULL_SCALE)
    error = float(np.mean(np.square(mixed - total)))
    remarks = ["clipped (samples at full scale)"] * clipped
    if error > power(mixed) * 10 ** (NOT_THE_SUM_DB / 10):
        remarks.append(f"unlike the sum of the sources by more than {NOT_THE_SUM_DB:g} dB")
    seconds = (len(mixed) / rate,) * len(mixture.sources)
    whole = Mixture(mixture.id, len(mixed), mixture.sources, mixture.wav)
    return CheckedMixture(whole, seconds, tuple(remarks))
