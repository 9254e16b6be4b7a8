"""Sets of tone speech, with canonical phones and scores."""

from __future__ import annotations

from pathlib import Path

import soundfile
from tone_models import LABELS, RATE, ToneModel, say

from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import PhoneScore, Scores, default_scales

TEXTS = {"cat bee": [["K", "AA1", "T"], ["B", "IY1"]], "sea": [["S", "IY1"]]}


def make_tone_set(root: Path, name: str = "toned", count: int = 4, scored: bool = True) -> Path:
    """``data/<name>``: two speakers, two texts; in odd utterances the first phone is wrong."""
    folder = root / "data" / name
    folder.mkdir(parents=True)
    wavs, speakers, text, phones = {}, {}, {}, {}
    for number in range(count):
        utterance = f"s{number * 2 // count}-u{number}"
        written, words = list(TEXTS.items())[number % 3 // 2]
        flat = [phone for word in words for phone in word]
        said = ["T" if number % 2 else flat[0], *flat[1:]]
        soundfile.write(folder / f"{utterance}.wav", say(said), RATE, subtype="FLOAT")
        wavs[utterance] = f"data/{name}/{utterance}.wav"
        speakers[utterance] = utterance.partition("-")[0]
        text[utterance] = written
        phones[utterance] = [
            PhoneScore(phone, index, 0.0 if number % 2 and phone is flat[0] else 2.0)
            for index, word in enumerate(words)
            for phone in word
        ]
    data.write(folder, wavs, speakers, text=text)
    if scored:
        write_scores(folder, Scores(phones=phones, scales=default_scales()))
    return folder


def posterior_set(root: Path, name: str = "toned") -> str:
    """A set of tone speech, and the spec of what the tone model says of it as Kaldi archives."""
    folder = make_tone_set(root, name)
    with ArkWriter(root / "post.ark", root / "post.scp") as ark:
        for file in sorted(folder.glob("*.wav")):
            samples, _ = soundfile.read(file, dtype="float32")
            ark.write(file.stem, ToneModel().evidence(samples).log_posteriors.numpy())
    (root / "labels.txt").write_text("\n".join(LABELS))
    return f"posteriors:{root / 'post.scp'}"
