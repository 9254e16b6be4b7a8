"""Brute-force references of hard-pair mining, and small working directories to mine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter


def cosine_matrix(vectors: np.ndarray) -> np.ndarray:
    """``[N, N]`` float64 distances, each pair by itself (equal vectors, equal distances)."""
    x = vectors.astype(np.float64)
    norm = np.sqrt((x * x).sum(1))
    with np.errstate(invalid="ignore"):
        rows = [1 - (x * one).sum(1) / (norm * length) for one, length in zip(x, norm, strict=True)]
    return np.maximum(0, np.array(rows))


def brute_force(distance: np.ndarray, speakers, pm: float, gender=None) -> list[dict]:
    """Hard sets from a full distance matrix by sorting; NaN distances are no candidates."""
    speakers = np.asarray(speakers)
    found = []
    for i in range(len(distance)):
        ok = (speakers != speakers[i]) & ~np.isnan(distance[i])
        if gender is not None:
            ok &= np.asarray(gender) == gender[i]
        rows = np.flatnonzero(ok)
        if np.isnan(distance[i, i]) or not len(rows):
            found.append({"m": 0, "hard": [], "nearest": -1, "last": np.nan, "first": np.nan})
            continue
        m = max(1, round(pm * len(rows)))
        order = rows[np.argsort(distance[i, rows], kind="stable")]
        first = distance[i, order[m]] if m < len(order) else np.inf
        found.append(
            {
                "m": m,
                "hard": sorted(order[:m].tolist()),
                "nearest": int(order[0]),
                "last": distance[i, order[m - 1]],
                "first": first,
            }
        )
    return found


def write_set(root: Path, speaker_of: list[str], gender: dict | None = None, age=None) -> list[str]:
    """``data/train`` with utterances ``u00000``... of the given speakers."""
    folder = root / "data" / "train"
    folder.mkdir(parents=True)
    utts = [f"u{k:05d}" for k in range(len(speaker_of))]
    tables = {"spk2gender": gender or {}, "spk2age": age or {}}
    wavs = {utt: f"{utt}.wav" for utt in utts}
    data.write(folder, wavs, dict(zip(utts, speaker_of, strict=True)), **tables)
    return utts


def write_prosody(root: Path, utts, f0, energy=None, name="train") -> None:
    folder = root / "exp" / "prosody" / name
    folder.mkdir(parents=True, exist_ok=True)
    energy = np.ones(len(utts)) if energy is None else energy
    rows = [
        f"{u}\t{f!r}\t0.5\t{e!r}"
        for u, f, e in zip(utts, map(float, f0), map(float, energy), strict=True)
    ]
    text = "\n".join(["utt\tf0_median_hz\tvoiced_fraction\tenergy", *rows]) + "\n"
    (folder / "prosody.tsv").write_text(text)


def write_vectors(root: Path, utts, vectors, name="train") -> None:
    folder = root / "exp" / "xvector" / name
    folder.mkdir(parents=True, exist_ok=True)
    with ArkWriter(folder / "xvector.ark", folder / "xvector.scp") as out:
        for utt, vector in zip(utts, vectors, strict=True):
            out.write(utt, np.asarray(vector, np.float32))


def speech_like(speakers: int, each: int, dim: int, seed: int = 0, spread: float = 1.0):
    """Vectors of speaker means plus noise, and speaker ids ``s000``... in order."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((speakers, dim))
    noise = spread * rng.standard_normal((speakers * each, dim))
    ids = [f"s{k:03d}" for k in range(speakers) for _ in range(each)]
    return (np.repeat(means, each, 0) + noise).astype(np.float32), ids
