"""Made-up scored sets with features of phones, for tests and trials."""

from __future__ import annotations

import numpy as np

from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.phones import ARPABET
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import PhoneScore, Scores, WordScores
from speechkit.phone_features.feature_folder import PhoneRow, write_config, write_rows


def make_scored(
    root,
    name="train",
    utterances=30,
    columns=6,
    speakers=5,
    seed=0,
    mean_phones=8,
    longest=20,
    fingerprint="made",
    gop="",
):
    """Write ``data/<name>`` with scores and ``exp/gop/<name>`` with features that explain them.

    Phones have a quality that the first columns show with noise; words are the mean of their
    phones, utterances that of their words, all rounded to the steps of the corpus's scores.
    """
    draw = np.random.default_rng(seed)
    folder = root / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"s{u % speakers}-u{u:04d}" for u in range(utterances)]
    data.write(folder, {u: f"{u}.wav" for u in ids}, {u: u.partition("-")[0] for u in ids})
    mix = np.random.default_rng(1).standard_normal((2, columns))
    scores, rows, features = Scores(), {}, {}
    for utterance in sorted(ids):
        count = int(np.clip(draw.normal(mean_phones, mean_phones / 3), 2, longest))
        of_word = np.cumsum(draw.random(count) < 0.4)
        of_word -= of_word[0]
        good = np.clip(1.7 + 0.3 * draw.standard_normal() + 0.5 * draw.standard_normal(count), 0, 2)
        good = np.round(good * 5) / 5
        noise = draw.standard_normal(count)
        values = np.stack([good + 0.2 * noise, noise], 1) @ mix
        values += 0.1 * draw.standard_normal((count, columns))
        features[utterance] = values.astype(np.float32)
        phones = draw.choice(ARPABET, count)
        scores.phones[utterance] = [
            PhoneScore(str(p), int(w), float(g))
            for p, w, g in zip(phones, of_word, good, strict=True)
        ]
        means = [good[of_word == w].mean() for w in range(of_word[-1] + 1)]
        words = [round(5 * float(m)) for m in means]
        scores.words[utterance] = [
            WordScores(f"W{k}", {"accuracy": w, "stress": 10 - 5 * (w < 4), "total": w})
            for k, w in enumerate(words)
        ]
        whole = round(5 * float(np.mean(means)))
        names = ("accuracy", "fluency", "prosodic", "total")
        scores.utterances[utterance] = dict.fromkeys(names, whole) | {"completeness": 10}
        rows[utterance] = [
            PhoneRow(k, int(w), f"W{w}", str(p), 0.1 * k, 0.1, -1.0, -0.5)
            for k, (p, w) in enumerate(zip(phones, of_word, strict=True))
        ]
    write_scores(folder, scores)
    write_gop(root, name, features, rows, fingerprint, gop)
    return folder


def write_gop(root, name, features, rows, fingerprint="made", gop=""):
    """Write ``exp/gop/<name>[-gop]``."""
    folder = root / "exp" / "gop" / (f"{name}-{gop}" if gop else name)
    folder.mkdir(parents=True, exist_ok=True)
    with ArkWriter(folder / "gop.ark", folder / "gop.scp") as writer:
        for utterance, values in features.items():
            writer.write(utterance, values)
    write_rows(folder / "rows.tsv", rows.items())
    width = next(iter(features.values())).shape[1]
    names = [f"c{k}" for k in range(width)]
    config = {"columns": names, "blocks": [], "am": ["made"], "method": "segment"}
    write_config(folder, {**config, "fingerprint": fingerprint})
    return folder


def make_changed(root, name="train", texts=2, columns=6, seed=5):
    """Write ``data/<name>_miscues`` and features that show its phones' scores, as made sets do."""
    from speechkit.labels.score_files import read_scores
    from speechkit.pronunciation import miscues
    from speechkit.pronunciation.config import MiscueConfig
    from speechkit.workdir import WorkDir

    folder = miscues.make(WorkDir(root), MiscueConfig(set=name, texts=texts))
    draw, mix = np.random.default_rng(seed), np.random.default_rng(1).standard_normal((2, columns))
    features, rows = {}, {}
    for utterance, phones in read_scores(folder).phones.items():
        good = np.array([phone.accuracy for phone in phones])
        noise = draw.standard_normal(len(good))
        values = np.stack([good + 0.2 * noise, noise], 1) @ mix
        features[utterance] = values.astype(np.float32)
        rows[utterance] = [
            PhoneRow(k, p.word_index, f"W{p.word_index}", p.phone, 0.1 * k, 0.1, -1.0, -0.5)
            for k, p in enumerate(phones)
        ]
    write_gop(root, folder.name, features, rows)
    return folder
