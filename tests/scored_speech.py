"""A small corpus in the layout of speechocean762: espeak-ng's voices, some words said wrong."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechkit.corpora import espeak
from speechkit.corpora.demo import SAMPLE_RATE, finish
from speechkit.corpora.voices import Voice, make_voices

# Word -> canonical phones, and what is heard instead where it is said wrong: as many phones.
WORDS = {
    "WE": "W IY0", "CALL": "K AO1 L", "IT": "IH0 T", "THE": "DH AH0", "SEES": "S IY1 Z",
    "BEAR": "B EH1 R", "BEER": "B IH1 R", "SHIP": "SH IH1 P", "SHEEP": "SH IY1 P",
    "RIGHT": "R AY1 T", "LIGHT": "L AY1 T", "VERY": "V EH1 R IY0", "BERRY": "B EH1 R IY0",
    "THICK": "TH IH1 K", "SICK": "S IH1 K", "BED": "B EH1 D", "BAD": "B AE1 D",
}  # fmt: skip
CONFUSED = {
    "BEAR": "BEER", "SHIP": "SHEEP", "RIGHT": "LIGHT", "VERY": "BERRY", "THICK": "SICK",
    "BED": "BAD",
}  # fmt: skip
SENTENCES = (
    "WE CALL IT BEAR", "THE SHIP SEES IT", "THE RIGHT BED", "IT SEES THE THICK BEAR",
    "WE CALL THE SHIP", "VERY THICK", "THE VERY RIGHT SHIP", "WE CALL IT BED",
)  # fmt: skip


def make_corpus(root: Path, train: int = 8, test: int = 4, utterances: int = 3) -> Path:
    """Write the corpus and return its folder, ``root/speechocean762``.

    Args:
        root: an existing folder.
        train: training speakers; half of all speakers are children, half female.
        test: test speakers.
        utterances: of each speaker. A third of the words that can be confused are.
    """
    corpus = root / "speechocean762"
    rng = random.Random("scored speech")
    plan: list[tuple[str, str, str, str, Voice, float]] = []
    tables: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    scores: dict[str, object] = {}
    phones: list[str] = []
    for k, voice in enumerate(make_voices(train + test, seed=3), 1):
        part, speaker = ("train" if k <= train else "test"), f"{k:04d}"
        _row(tables[part], "spk2gender", speaker, voice.gender)
        _row(tables[part], "spk2age", speaker, str(8 if k % 4 < 2 else 30))
        for number in range(utterances):
            name = f"0{speaker}{number:04d}"
            text = SENTENCES[(k * utterances + number) % len(SENTENCES)]
            said = [
                CONFUSED[w] if w in CONFUSED and rng.random() < 1 / 3 else w for w in text.split()
            ]
            slow = rng.choice((1.0, 1.0, 0.75))
            plan.append((part, speaker, name, " ".join(said), voice, slow))
            _row(tables[part], "wav.scp", name, f"WAVE/SPEAKER{speaker}/{name}.WAV")
            _row(tables[part], "text", name, text)
            _row(tables[part], "utt2spk", name, speaker)
            scores[name] = _scores(text.split(), said, slow, rng)
            for index, word in enumerate(text.split()):
                phones.append(f"{name}.{index}\t{_positions(WORDS[word].split())}")
    for part, files in tables.items():
        (corpus / part).mkdir(parents=True)
        for file, lines in files.items():
            (corpus / part / file).write_text("\n".join(lines) + "\n")
    resource = corpus / "resource"
    resource.mkdir()
    (resource / "scores.json").write_text(json.dumps(scores))
    (resource / "text-phone").write_text("\n".join(phones) + "\n")
    (resource / "lexicon.txt").write_text("".join(f"{w}\t{p}\n" for w, p in WORDS.items()))
    _speak(corpus, plan)
    return corpus


def _row(tables: dict[str, list[str]], file: str, key: str, value: str) -> None:
    tables.setdefault(file, []).append(f"{key}\t{value}")


def _positions(phones: list[str]) -> str:
    marks = ["B", *"I" * (len(phones) - 2), "E"] if len(phones) > 1 else ["S"]
    return " ".join(f"{phone}_{mark}" for phone, mark in zip(phones, marks, strict=True))


def _scores(text: list[str], said: list[str], slow: float, rng: random.Random) -> dict[str, object]:
    """Low scores where another phone is heard, a lower fluency where speech is slow."""
    words = []
    for word, heard in zip(text, said, strict=True):
        pairs = list(zip(WORDS[word].split(), WORDS[heard].split(), strict=True))
        accuracies = [
            rng.choice((2.0, 2.0, 1.8)) if a == b else rng.choice((0.0, 0.4)) for a, b in pairs
        ]
        good = round(10 * sum(accuracies) / (2 * len(accuracies)))
        stress = 5 if rng.random() < 0.1 else 10
        words.append(
            {"text": word, "accuracy": good, "stress": stress, "total": min(good, stress),
             "phones": WORDS[word].split(), "phones-accuracy": accuracies}
        )  # fmt: skip
    accuracy = round(sum(word["accuracy"] for word in words) / len(words))
    fluency = rng.choice((9, 10)) if slow == 1 else rng.choice((5, 6))
    return {
        "text": " ".join(text), "accuracy": accuracy,
        "completeness": 5.0 if rng.random() < 0.1 else 10.0, "fluency": fluency,
        "prosodic": max(1, fluency - rng.choice((0, 1))), "total": round((accuracy + fluency) / 2),
        "words": words,
    }  # fmt: skip


def _speak(corpus: Path, plan: list[tuple[str, str, str, str, Voice, float]]) -> None:
    voices = {voice.speaker: voice for *_, voice, _ in plan}
    requests = [
        espeak.Request(
            said.lower() + ".", f"en-us+{v.speaker}", round(v.rate * slow), 50, v.pitch_range
        )
        for *_, said, v, slow in plan
    ]
    with tempfile.TemporaryDirectory() as place:
        espeak.make_data_folder(Path(place), {name: v.file() for name, v in voices.items()})
        spoken = espeak.speak(requests, Path(place))
    for (_, speaker, name, *_), raw in zip(plan, spoken, strict=True):
        folder = corpus / "WAVE" / f"SPEAKER{speaker}"
        folder.mkdir(parents=True, exist_ok=True)
        samples = finish(np.frombuffer(raw, "<i2").astype(np.float32) / 32768, name)
        soundfile.write(folder / f"{name}.WAV", samples, SAMPLE_RATE, format="WAV")
