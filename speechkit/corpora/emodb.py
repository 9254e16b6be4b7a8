"""EmoDB (Berlin Database of Emotional Speech): acted German, ten sentences, ten speakers.

Layout: http://emodb.bilderbar.info. Burkhardt et al., "A Database of German Emotional Speech",
Interspeech 2005. A name such as ``03a01Fa`` is speaker 03, sentence a01, Freude, version a.
"""

from __future__ import annotations

import re
from pathlib import Path

from speechkit.corpora.acted import ActedCorpus, read_acted
from speechkit.corpora.common import Corpus
from speechkit.corpora.config import EmoDBConfig

LAYOUT = "EmoDB as published: wav/ with files such as 03a01Fa.wav (download.zip)."
EMOTIONS = {
    "W": "angry", "L": "bored", "E": "disgust", "A": "fearful", "F": "happy", "T": "sad",
    "N": "neutral",
}  # fmt: skip
"""German letter (Wut, Langeweile, Ekel, Angst, Freude, Trauer) -> class as RAVDESS calls it."""
SPEAKERS = {
    "03": ("m", 31), "08": ("f", 34), "09": ("f", 21), "10": ("m", 32), "11": ("m", 26),
    "12": ("m", 30), "13": ("f", 32), "14": ("f", 35), "15": ("m", 25), "16": ("f", 31),
}  # fmt: skip
"""Speaker -> gender and age in years."""
TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank",
    "a02": "Das will sie am Mittwoch abgeben",
    "a04": "Heute abend könnte ich es ihm sagen",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück",
    "a07": "In sieben Stunden wird es soweit sein",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen",
}
FIELDS = {
    "speaker": {code: f"speaker{code}" for code in SPEAKERS},
    "statement": {code: code for code in TEXTS},
    "emotion": EMOTIONS,
}
_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])[a-z]")
CORPUS = ActedCorpus("EmoDB", "prepare emodb", LAYOUT, _NAME, FIELDS, TEXTS)


def read_corpus(path: Path, config: EmoDBConfig) -> Corpus:
    """Read the recordings into one set, with emotion and statement.

    Args:
        path: the folder that holds them (at any depth).

    Raises:
        UserError: no such recordings, or a name with an unknown code.
    """
    gender = {f"speaker{name}": value for name, (value, _) in SPEAKERS.items()}
    age = {f"speaker{name}": str(years) for name, (_, years) in SPEAKERS.items()}
    return read_acted(CORPUS, path, config.set_name, gender, age)
