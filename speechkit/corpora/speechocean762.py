"""speechocean762: scored English of Mandarin speakers, already in Kaldi's tables.

Layout: https://github.com/jimbozhang/speechocean762. Zhang et al., "speechocean762: An
Open-Source Non-native English Speech Corpus For Pronunciation Assessment", Interspeech 2021.
"""

from __future__ import annotations

from pathlib import Path

from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Item,
    find_audio,
    parse_gender,
    require_folder,
    subfolders,
)
from speechkit.errors import UserError
from speechkit.kaldi.data import read_table

LAYOUT = "speechocean762 as published: WAVE/, train/ and test/ with wav.scp, text and utt2spk."
SETS = ("train", "test")
_NEEDED = ("wav.scp", "text", "utt2spk")
_OPTIONAL = ("spk2gender", "spk2age")


def read_corpus(path: Path) -> Corpus:
    """Read the two published sets, with the corpus's own ids.

    Its utterance ids begin with the speaker's number (with one zero in front), so that they
    sort as Kaldi wants.

    Args:
        path: the corpus, or the folder that holds ``speechocean762``.

    Raises:
        UserError: another layout, a broken table, tables that disagree.
    """
    path = require_folder(path, LAYOUT)
    inner = path / "speechocean762"
    root = inner if inner.is_dir() and not (path / "train").is_dir() else path
    for part in SETS:
        for name in _NEEDED:
            if not (root / part / name).is_file():
                raise UserError(
                    f"{root} is not speechocean762: it has no {part}/{name}.", f"Expected: {LAYOUT}"
                )
    files = _audio_by_name(root)
    tables = [root / part / name for part in SETS for name in _NEEDED + _OPTIONAL]
    return Corpus(
        command="prepare speechocean762",
        params={"path": str(root)},
        sets=[_read_set(root, part, files) for part in SETS],
        metadata=[table for table in tables if table.is_file()],
    )


def _audio_by_name(root: Path) -> dict[str, list[Path]]:
    """Audio by lower-case name without ending: copies differ in case, and in WAV or FLAC."""
    found: dict[str, list[Path]] = {}
    for folder in subfolders(root):
        if folder.name.lower() == "wave":
            for file in find_audio(folder):
                found.setdefault(file.stem.lower(), []).append(file)
    return found


def _read_set(root: Path, part: str, files: dict[str, list[Path]]) -> CorpusSet:
    folder = root / part
    wavs, texts, speakers = (read_table(folder / name) for name in _NEEDED)
    for name, table in (("text", texts), ("utt2spk", speakers)):
        differ = sorted(set(wavs) ^ set(table))
        if differ:
            raise UserError(
                f"{folder}: wav.scp and {name} disagree on {len(differ)} utterances "
                f"({', '.join(differ[:3])}).",
                "Copy the corpus again.",
            )
    gender, age = (
        read_table(folder / name) if (folder / name).is_file() else {} for name in _OPTIONAL
    )
    return CorpusSet(
        name=part,
        items=[
            Item(
                utterance, _locate(root, wav, files, folder), speakers[utterance], texts[utterance]
            )
            for utterance, wav in wavs.items()
        ],
        gender={s: parse_gender(g, f"{folder / 'spk2gender'}, {s}") for s, g in gender.items()},
        age=age,
    )


def _locate(root: Path, wav: str, files: dict[str, list[Path]], folder: Path) -> Path:
    """The file of a line of ``wav.scp``; a missing one keeps its published name."""
    if wav.endswith("|"):
        raise UserError(
            f"{folder / 'wav.scp'}: '{wav}' is a shell command, which is not run.",
            "Use the corpus as published.",
        )
    there = files.get(Path(wav).stem.lower(), [])
    exact = root / wav
    return there[0] if len(there) == 1 or (there and not exact.is_file()) else exact
