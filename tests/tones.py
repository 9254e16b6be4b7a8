"""A set whose phones are tones: every HMM state has a frequency of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from speechkit.base.tables import write_tsv
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter

LABELS = ("SIL", "AA", "IY", "+SPN+")
RATE = 16_000


def tones(seed: int, phones: int = 5) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, str]]]:
    """Samples ``[N]``, states ``[T]``, and (first frame, frames, phone) of the phones."""
    rng = np.random.default_rng(seed)
    spoken = [0, *rng.integers(1, 3, phones).tolist(), 0]
    states, segments = [], []
    for label in spoken:
        lengths = rng.integers(4, 8, 3)
        if label:
            segments.append((len(states), int(lengths.sum()), LABELS[label]))
        states += np.repeat(3 * label + np.arange(3), lengths).tolist()
    wave = np.zeros(len(states) * 160 + 240)
    hertz = 300 * 1.28 ** np.array(states)
    phase = 2 * np.pi * np.cumsum(np.repeat(hertz, 160)) / RATE
    loud = np.where(np.array(states) < 3, 0.001, 0.2 * rng.uniform(0.5, 1))
    wave[120:-120] = np.repeat(loud, 160) * np.sin(phase)
    wave += 0.001 * rng.standard_normal(len(wave))
    return wave.astype(np.float32), np.array(states, np.int32), segments


def tone_set(
    root: Path,
    speakers: int = 4,
    utterances: int = 4,
    scores: bool = False,
    mismatch: int = -1,
    name: str = "train",
    first: int = 0,
) -> Path:
    """Write ``data/<name>`` and its alignment ``exp/align/<name>`` under ``root``.

    Args:
        root: the working directory.
        speakers: s<first> and those that follow, of alternating gender.
        utterances: of each speaker.
        scores: write ``phone_scores.tsv``: the second phone of each utterance is bad.
        mismatch: the utterance of each speaker that does not match its text.
        name: of the set.
        first: number of the first speaker.
    """
    folder, alignment = root / "data" / name, root / "exp" / "align" / name
    (folder / "wav").mkdir(parents=True)
    alignment.mkdir(parents=True)
    wavs, speaker_of, gender, ctm, rows, lines = {}, {}, {}, [], [], []
    with ArkWriter(alignment / "ali.ark", alignment / "ali.scp") as ark:
        for k in range(first, first + speakers):
            gender[f"s{k}"] = "fm"[k % 2]
            for j in range(utterances):
                utterance = f"s{k}-u{j}"
                wave, states, segments = tones(100 * k + j)
                soundfile.write(folder / "wav" / f"{utterance}.wav", wave, RATE)
                wavs[utterance] = f"data/{name}/wav/{utterance}.wav"
                speaker_of[utterance] = f"s{k}"
                ark.write(utterance, states)
                matches = "no" if j == mismatch else "yes"
                lines.append([utterance, str(len(states)), "1.0", matches])
                for index, (begin, frames, phone) in enumerate(segments):
                    ctm.append(f"{utterance} 1 {begin / 100:.2f} {frames / 100:.2f} {phone} 1.0")
                    rows.append([utterance, "0", str(index), phone, "0.4" if index == 1 else "2"])
    data.write(folder, wavs, speaker_of, spk2gender=gender)
    if scores:
        write_tsv(folder / "phone_scores.tsv", ("utt", "word", "index", "phone", "accuracy"), rows)
    columns = ("utt", "frames", "confidence", "matches")
    write_tsv(alignment / "utterances.tsv", columns, lines)
    (alignment / "phones.ctm").write_text("".join(f"{line}\n" for line in ctm))
    labels = "".join(f"{label} {i}\n" for i, label in enumerate(LABELS))
    (alignment / "phones.txt").write_text(labels)
    return folder
