"""RAVDESS: acted emotions, two sentences, 24 actors; its speech recordings.

Layout: https://doi.org/10.5281/zenodo.1188976. Livingstone and Russo, "The Ryerson
Audio-Visual Database of Emotional Speech and Song", PLoS ONE 13 (5), 2018.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.base import audio
from speechkit.base.audio import SUFFIXES
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import logger
from speechkit.corpora.common import Corpus, CorpusSet, Item, find_audio, require_folder
from speechkit.kaldi import identical
from speechkit.kaldi.data import Utterance
from speechkit.labels.emotions import RAVDESS

LAYOUT = (
    "RAVDESS as published: Actor_01 to Actor_24 with files such as 03-01-06-01-02-01-12.wav "
    "(Audio_Speech_Actors_01-24.zip of https://zenodo.org/records/1188976)."
)
EMOTIONS = {f"{code:02d}": name for code, name in enumerate(RAVDESS, 1)}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "kids", "02": "dogs"}
TEXTS = {"kids": "Kids are talking by the door", "dogs": "Dogs are sitting by the door"}
FIELDS = {
    "emotion": EMOTIONS,
    "intensity": INTENSITIES,
    "statement": STATEMENTS,
    "repetition": {"01": "1", "02": "2"},
    "actor": {f"{actor:02d}": str(actor) for actor in range(1, 25)},
}
"""What each field of a name can say, in order; two fields before them say that it is speech."""
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_AUDIO_ONLY, _SPEECH = "03", "01"
_NAMED = 5  # files named in a message


@dataclass(frozen=True)
class Name:
    """What a file name says; actors of odd numbers are male."""

    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: int

    @property
    def speaker(self) -> str:
        return f"actor{self.actor:02d}"

    @property
    def gender(self) -> str:
        return "m" if self.actor % 2 else "f"


def parse_name(path: Path) -> Name:
    """Fields of the name of a speech recording.

    Raises:
        UserError: a field has a value that the corpus does not have.
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise UserError(f"{path} does not have a name of RAVDESS.", f"Expected: {LAYOUT}")
    found = []
    for (what, known), code in zip(FIELDS.items(), match.groups()[2:], strict=True):
        if code not in known:
            raise UserError(
                f"{path}: the {what} code '{code}' is not of RAVDESS.",
                f"Accepted: {min(known)} to {max(known)}. Rename or remove the file.",
            )
        found.append(known[code])
    emotion, intensity, statement, repetition, actor = found
    return Name(emotion, intensity, statement, repetition, int(actor))


def read_corpus(path: Path, set_name: str = "ravdess") -> Corpus:
    """Read the speech recordings into one set, with emotion, intensity and statement.

    Songs, videos and files with other names are left out and counted. Recordings with the
    same audio, and with several channels, are named.

    Args:
        path: the folder that holds ``Actor_01`` ... (at any depth).

    Raises:
        UserError: no such recordings, or a name with an unknown code.
    """
    path = require_folder(path, LAYOUT)
    files, left_out = _speech(path)
    if not files:
        seen = ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
        raise UserError(
            f"No speech recording of RAVDESS was found in {path} ({seen or 'no audio at all'}).",
            f"Expected: {LAYOUT}",
        )
    for what, count in sorted(left_out.items()):
        logger.info(f"{set_name}: {count} {what} left out.")
    made = CorpusSet(set_name, [])
    labels: dict[str, dict[str, str]] = {"emotion": {}, "intensity": {}, "statement": {}}
    for file in files:
        name = parse_name(file)
        utterance = f"{name.speaker}-{file.stem}"
        made.items.append(Item(utterance, file, name.speaker, TEXTS[name.statement]))
        made.gender[name.speaker] = name.gender
        for label, table in labels.items():
            table[utterance] = getattr(name, label)
    made.tables = {f"utt2{label}": table for label, table in labels.items()}
    made.examine = lambda items, jobs: {"left_out": dict(left_out), **_odd(items, jobs)}
    return Corpus("prepare ravdess", {"path": str(path)}, [made])


def _speech(path: Path) -> tuple[list[Path], Counter[str]]:
    """Speech recordings, one per name, and how many files of which kind are left out."""
    left_out: Counter[str] = Counter()
    chosen: dict[str, Path] = {}
    for file in find_audio(path, (*SUFFIXES, ".mp4")):
        match = _NAME.fullmatch(file.stem)
        if match is None:
            left_out["files without a name of RAVDESS"] += 1
        elif match[1] != _AUDIO_ONLY or file.suffix.lower() == ".mp4":
            left_out["video files"] += 1
        elif match[2] != _SPEECH:
            left_out["song files"] += 1
        elif file.stem not in chosen:
            chosen[file.stem] = file
        elif _same_file(chosen[file.stem], file):
            left_out["second copies of a file"] += 1
        else:
            raise UserError(
                f"{chosen[file.stem]} and {file} have one name, but are not the same.",
                "Remove one of them.",
            )
    return list(chosen.values()), left_out


def _same_file(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _odd(items: Sequence[Item], jobs: int) -> dict[str, list[str]]:
    """Recordings with the same audio or several channels, said and noted."""
    utterances = [Utterance(i.utterance, str(i.audio), i.speaker) for i in items]
    same = [" = ".join(ids) for ids in identical.groups(utterances, jobs, "compare audio")]
    if same:
        logger.warning(
            f"Recordings with the same audio ({len(same)}): {_listed(same)}. A split that does "
            "not part speakers may train and test on it."
        )
    stereo = [item.utterance for item in _stereo(items)]
    if stereo:
        logger.warning(
            f"Recordings with several channels ({len(stereo)}), which are averaged: "
            f"{_listed(stereo)}"
        )
    return {"identical_audio": same, "several_channels": stereo}


def _stereo(items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        try:
            if audio.info(item.audio).channels > 1:
                yield item
        except AudioError:  # named when the set is written
            continue


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
