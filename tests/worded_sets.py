"""Small scored sets of real words."""

from __future__ import annotations

import numpy as np

from speechkit.kaldi import data
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import PhoneScore, Scores, WordScores, default_scales

PHONES = {
    "WE": "W IY0", "CALL": "K AO1 L", "IT": "IH1 T", "AT": "AE1 T", "THE": "DH AH0",
    "SEES": "S IY1 Z", "BEAR": "B EH1 R", "BARE": "B EH1 R", "BEER": "B IH1 R", "SHIP": "SH IH1 P",
    "GREEN": "G R IY1 N", "DOWN": "D AW1 N", "CAR": "K AA1 R", "CARE": "K EH1 R", "EYE": "AY1",
    "LIVED": "L IH1 V D", "STREET": "S T R IY1 T", "LONGER": "L AO1 NG G ER0",
}  # fmt: skip
SENTENCES = (
    "WE CALL IT BEAR", "THE SHIP SEES IT", "DOWN THE GREEN STREET", "WE LIVED LONGER",
    "EYE THE BEER", "AT CAR CARE", "SEES BARE SHIP", "STREET", "CALL LONGER", "GREEN GREEN EYE",
)  # fmt: skip


def words_of(text: str, seed: int = 0) -> tuple[list[WordScores], list[PhoneScore]]:
    """Words and phones of a text with scores; a word in brackets has the pronunciation in them:
    ``THE(DH IY0)``."""
    draw = np.random.default_rng([seed, len(text)])
    words, phones = [], []
    for index, word in enumerate(text.replace(", ", "_").split()):
        name, _, given = word.partition("(")
        said = given.rstrip(")").replace("_", " ") or PHONES[name]
        own = [PhoneScore(p, index, float(draw.integers(5, 11)) / 5) for p in said.split()]
        value = round(5 * float(np.mean([p.accuracy for p in own])))
        words.append(WordScores(name, {"accuracy": value, "stress": 10.0, "total": value}))
        phones += own
    return words, phones


def make_worded(
    root, name="train", texts=SENTENCES, copies=1, scales=None, speakers=3, segments=False, **tables
):
    """Write ``data/<name>`` with the texts, ``copies`` of each, with scores of all levels."""
    folder = root / "data" / name
    folder.mkdir(parents=True)
    scores, text = Scores(scales=scales or default_scales()), {}
    for number in range(len(texts) * copies):
        utterance = f"s{number % speakers}-u{number:03d}"
        words, phones = words_of(texts[number % len(texts)], number)
        text[utterance] = " ".join(word.word for word in words)
        scores.words[utterance], scores.phones[utterance] = words, phones
        scores.utterances[utterance] = {"total": 8.0, "completeness": 10.0}
    speakers_of = {u: u.partition("-")[0] for u in text}
    if segments:
        wavs = {f"rec-{u}": f"{u}.wav" for u in text}
        tables["segments"] = {u: f"rec-{u} 0.5 -1" for u in text}
    else:
        wavs = {u: f"{u}.wav" for u in text}
    data.write(folder, wavs, speakers_of, text=text, utt2dur=dict.fromkeys(text, "1.5"), **tables)
    write_scores(folder, scores)
    return folder
