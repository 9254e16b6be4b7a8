"""CREMA-D: acted emotions, twelve sentences, 91 actors.

Layout: https://github.com/CheyneyComputerScience/CREMA-D. Cao et al., "CREMA-D: Crowd-sourced
Emotional Multimodal Actors Dataset", IEEE Transactions on Affective Computing 5 (4), 2014. A name
such as ``1001_DFA_ANG_XX`` is actor 1001, sentence DFA, anger, of unspecified level. The label is
what the actor was asked for, not what listeners heard.
"""

from __future__ import annotations

import re
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.tables import read_rows
from speechkit.corpora.acted import ActedCorpus, read_acted
from speechkit.corpora.common import Corpus, parse_gender, require_folder
from speechkit.corpora.config import CremaDConfig

LAYOUT = (
    "CREMA-D as published: AudioWAV/ with files such as 1001_DFA_ANG_XX.wav, and "
    "VideoDemographics.csv."
)
DEMOGRAPHICS = "VideoDemographics.csv"
EMOTIONS = {
    "ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral",
    "SAD": "sad",
}  # fmt: skip
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
"""Level -> intensity; one published name has X for XX."""
ACTORS = range(1001, 1092)
TEXTS = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
FIELDS = {
    "speaker": {str(actor): f"actor{actor}" for actor in ACTORS},
    "statement": {sentence: sentence.lower() for sentence in TEXTS},
    "emotion": EMOTIONS,
    "intensity": LEVELS,
}
CORPUS = ActedCorpus(
    "CREMA-D",
    "prepare crema-d",
    LAYOUT,
    re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})"),
    FIELDS,
    {sentence.lower(): text for sentence, text in TEXTS.items()},
)


def read_corpus(path: Path, config: CremaDConfig) -> Corpus:
    """Read the recordings into one set, with emotion, intensity and statement.

    Args:
        path: the folder that holds ``AudioWAV/`` and ``VideoDemographics.csv``, or that of the
            recordings itself.

    Raises:
        UserError: no such recordings, a name with an unknown code, or a table of the actors
            that cannot be used.
    """
    path = require_folder(path, LAYOUT)
    inside = path / "AudioWAV"  # beside it lie the same recordings as MP3
    tables = [folder / DEMOGRAPHICS for folder in (path, path.parent)]
    table = next((file for file in tables if file.is_file()), None)
    gender: dict[str, str] = {}
    age: dict[str, str] = {}
    if table is None:
        logger.warning(f"{path} has no {DEMOGRAPHICS}: genders and ages are not known.")
    else:
        gender, age = read_demographics(table)
    audio = inside if inside.is_dir() else path
    return read_acted(CORPUS, audio, config.set_name, gender, age, [table] if table else [])


def read_demographics(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Gender and age in years of each actor, from ``VideoDemographics.csv``.

    Raises:
        UserError: it cannot be read, lacks a column, or has a value that is none.
    """
    table = read_rows(path)
    columns = [cell.casefold() for cell in table.rows[0][1]] if table.rows else []
    wanted = ("ActorID", "Age", "Sex")
    if lacking := [name for name in wanted if name.casefold() not in columns]:
        raise UserError(
            f"{path}: has no column '{lacking[0]}'.",
            f"Take the table as published: it has the columns {', '.join(wanted)}.",
        )
    places = [columns.index(name.casefold()) for name in wanted]
    gender: dict[str, str] = {}
    age: dict[str, str] = {}
    for number, cells in table.rows[1:]:
        if len(cells) <= max(places):
            raise table.misfit(number, cells, wanted)
        actor, years, sex = (cells[place] for place in places)
        if not years.isdecimal() or not 0 < int(years) < 130:
            raise UserError(f"{path}:{number}: '{years}' is no age in years.")
        gender[f"actor{actor}"] = parse_gender(sex, f"{path}:{number}")
        age[f"actor{actor}"] = years
    return gender, age
