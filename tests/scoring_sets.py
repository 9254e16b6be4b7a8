"""Made-up sets for the scorer: features of phones with scores, and spoken ones with an
acoustic model."""

from __future__ import annotations

import shutil

import numpy as np
import torch
from conftest import make_set
from pronunciation_sets import make_scored

from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.score_files import write_scores
from speechkit.labels.scores import Scores
from speechkit.phone_features.feature_folder import (
    PhoneRow,
    read_features,
    write_config,
    write_rows,
)

PHONES = ("AA", "IY", "S")
SHAPE = TdnnConfig(40, (16, 16, 12), (5, 3, 3), (1, 2, 3), 12, 0.1)


def make_sets(root, **utterances):
    """``data/<name>`` with scores, and the same features as ``exp/gop`` and ``exp/deep``."""
    for seed, (name, count) in enumerate(utterances.items()):
        make_scored(root, name, utterances=count, columns=6, seed=seed)
        gop = read_features(root / "exp/gop" / name, root)
        matrices = {utterance: gop.table[utterance] for utterance in gop.rows}
        write_deep(root, name, matrices, gop.rows)
    return root


def write_deep(root, name, matrices, rows, suffix="", **config):
    """Write ``exp/deep/<name>[-suffix]``."""
    folder = root / "exp/deep" / (f"{name}-{suffix}" if suffix else name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ArkWriter(folder / "deep.ark", folder / "deep.scp") as writer:
        for utterance, values in matrices.items():
            writer.write(utterance, values)
    write_rows(folder / "rows.tsv", rows.items())
    width = next(iter(matrices.values())).shape[1]
    made = {
        "columns": [f"made:deep_{k}" for k in range(width)], "blocks": [], "am": ["made"],
        "method": "deep", "level": "phone", "layer": 3, "fingerprint": "made",
    }  # fmt: skip
    write_config(folder, {**made, **config})
    return folder


def write_synthetic(root, name, values, suffix=""):
    """Write ``exp/synthetic/<name>[-suffix]`` with scores of ``total``, utterance -> score."""
    folder = root / "exp/synthetic" / (f"{name}-{suffix}" if suffix else name)
    folder.mkdir(parents=True)
    scores = Scores(utterances={utterance: {"total": v} for utterance, v in values.items()})
    write_scores(folder, scores)


def write_acoustic(folder, seed=0):
    """A TDNN with random weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network = Tdnn(SHAPE).train()
    with torch.no_grad():
        network(torch.randn(4, 60, 40) * 3)  # statistics of batch normalisation
    card = tdnn_folder.Card(("SIL", *PHONES), FeatureConfig(), SHAPE, "full")
    return tdnn_folder.write(folder, card, {"full": tdnn_folder.half(network.state_dict())}, {})


def make_spoken(root, *names):
    """Sets with audio, scores, synthetic scores and deep features of ``exp/acoustic/tiny``."""
    from speechkit.scoring import joint_data, joint_network
    from speechkit.scoring.data import Inputs, load
    from speechkit.workdir import WorkDir

    work = WorkDir(root)
    card = write_acoustic(root / "exp/acoustic/tiny")
    block = {"name": "tiny", "am": "tiny", "fingerprint": card.fingerprint(), "layer": 3}
    config = {"am": ["tiny"], "blocks": [block], "fingerprint": "tiny-3", "sample_rate": 16000}
    for number, name in enumerate(names):
        draw = np.random.default_rng(number)
        folder = make_set(root, name, speakers=3, utterances=2, seconds=0.4)
        ids = [f"s{k}-u{j}" for k in range(3) for j in range(2)]
        values = {utterance: float(draw.integers(11)) for utterance in ids}
        write_scores(folder, Scores(utterances={u: {"total": v} for u, v in values.items()}))
        write_synthetic(root, name, {u: 5 + v / 4 for u, v in values.items()})
        rows = {
            u: [
                PhoneRow(k, k // 2, f"W{k // 2}", PHONES[k % 3], 0.05 * k, 0.05, -1.0, -0.5)
                for k in range(draw.integers(1, 8))
            ]
            for u in ids
        }
        blank = {u: np.zeros((len(of), 12), np.float32) for u, of in rows.items()}
        write_deep(root, name, blank, rows, **config)
        found = load(work, name, Inputs())
        network, card = joint_network.trainable(root / "exp/acoustic/tiny", 3)
        frames = joint_data.load(work, found, card.features, card.network.reach)
        means = np.split(joint_network.phone_means(network, frames, 3), found.first[1:-1])
        write_deep(root, name, dict(zip(found.utterances, means, strict=True)), rows, **config)
    return work
