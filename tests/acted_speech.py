"""Small labelled sets: sounds in RAVDESS's layout, and labels without audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from speechkit.kaldi.data import DataDir, Utterance
from speechkit.labels.emotions import RAVDESS, EmotionSet

RATE = 16000


def acted(emotion: int, actor: int, seed: int, seconds: float = 0.4) -> np.ndarray:
    """A tone whose pitch and wobble tell the emotion, and the pitch also the actor, ``[T]``."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 110 + 4 * actor + 60 * emotion
    phase = 2 * np.pi * pitch * time + 0.8 * np.sin(2 * np.pi * (2 + emotion) * time)
    tone = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.03 * rng.standard_normal(len(time))
    return (0.02 * (1 + emotion) * tone).astype(np.float32)


def make_ravdess(
    root: Path, actors: int = 4, emotions: int = 3, repetitions: int = 1, seconds: float = 0.4
) -> Path:
    """Write ``root/ravdess/Actor_NN/03-01-EE-01-SS-RR-NN.wav`` and return the folder."""
    corpus = root / "ravdess"
    for actor in range(1, actors + 1):
        folder = corpus / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion in range(1, emotions + 1):
            for statement in (1, 2):
                for repetition in range(1, repetitions + 1):
                    name = f"03-01-{emotion:02d}-01-{statement:02d}-{repetition:02d}-{actor:02d}"
                    seed = hash((actor, emotion, statement, repetition)) % 2**32
                    sound = acted(emotion, actor, seed, seconds + 0.03 * statement)
                    soundfile.write(folder / f"{name}.wav", sound, RATE)
    return corpus


def make_class_folders(folder: Path) -> Path:
    """Write tones of five speakers, ``folder/happy/s0-0.wav`` ...: high ones are happy."""
    for label, pitch in (("happy", 800), ("sad", 200)):
        (folder / label).mkdir(parents=True)
        for speaker in range(5):
            for take in range(2):
                times = np.arange(4000) / RATE
                tone = 0.3 * np.sin(2 * np.pi * (pitch + 20 * speaker + take) * times)
                soundfile.write(folder / label / f"s{speaker}-{take}.wav", tone, RATE)
    return folder


def labelled(
    actors: int = 24, classes: tuple[str, ...] = RAVDESS, gender: str = "mf"
) -> EmotionSet:
    """A set without audio, as complete as RAVDESS: 60 clips of each actor with 8 classes."""
    utterances, labels, said = [], {}, {}
    genders = {}
    for k in range(1, actors + 1):
        speaker = f"actor{k:02d}"
        genders[speaker] = gender[(k + 1) % 2]
        for label in classes:
            for statement in ("kids", "dogs"):
                for number in range(2 if label == "neutral" else 4):
                    name = f"{speaker}-{label}-{statement}-{number}"
                    utterances.append(Utterance(name, f"{name}.wav", speaker))
                    labels[name], said[name] = label, statement
    data = DataDir(Path("data/labelled"), utterances, gender=genders)
    return EmotionSet("labelled", data, labels, classes, said)
