"""RAVDESS: acted emotions, two sentences, 24 actors; its speech recordings.

Layout: https://doi.org/10.5281/zenodo.1188976. Livingstone and Russo, "The Ryerson
Audio-Visual Database of Emotional Speech and Song", PLoS ONE 13 (5), 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from speechkit.base.audio import SUFFIXES
from speechkit.corpora.acted import ActedCorpus, read_acted
from speechkit.corpora.common import Corpus
from speechkit.corpora.config import RavdessConfig
from speechkit.labels.emotions import RAVDESS

LAYOUT = (
    "RAVDESS as published: Actor_01 to Actor_24 with files such as 03-01-06-01-02-01-12.wav "
    "(Audio_Speech_Actors_01-24.zip of https://zenodo.org/records/1188976)."
)
EMOTIONS = {f"{code:02d}": name for code, name in enumerate(RAVDESS, 1)}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "kids", "02": "dogs"}
TEXTS = {"kids": "Kids are talking by the door", "dogs": "Dogs are sitting by the door"}
_AUDIO_ONLY, _SPEECH = "03", "01"
FIELDS = {
    "modality": {"01": "audio and video", "02": "video", _AUDIO_ONLY: "audio"},
    "channel": {_SPEECH: "speech", "02": "song"},
    "emotion": EMOTIONS,
    "intensity": INTENSITIES,
    "statement": STATEMENTS,
    "repetition": {"01": "1", "02": "2"},
    "speaker": {f"{actor:02d}": f"actor{actor:02d}" for actor in range(1, 25)},
}
"""What each field of a name can say, in order."""
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
VIDEO = ".mp4"


def _other(path: Path) -> str:
    """Songs and videos, which are left out."""
    modality, channel = path.stem.split("-")[:2]
    if modality != _AUDIO_ONLY or path.suffix.lower() == VIDEO:
        return "video files"
    return "" if channel == _SPEECH else "song files"


CORPUS = ActedCorpus(
    "RAVDESS", "prepare ravdess", LAYOUT, _NAME, FIELDS, TEXTS, _other, (*SUFFIXES, VIDEO)
)
GENDER = {f"actor{number:02d}": "m" if number % 2 else "f" for number in range(1, 25)}
"""Actors of odd numbers are male."""


def read_corpus(path: Path, config: RavdessConfig) -> Corpus:
    """Read the speech recordings into one set, with emotion, intensity and statement.

    Songs, videos and files with other names are left out and counted. Recordings with the
    same audio, and with several channels, are named.

    Args:
        path: the folder that holds ``Actor_01`` ... (at any depth).

    Raises:
        UserError: no such recordings, or a name with an unknown code.
    """
    return read_acted(CORPUS, path, config.set_name, GENDER)
