"""Small random separation models and mixture sets for tests."""

import numpy as np
import soundfile
import torch
from conftest import make_set

from speechkit.kaldi import data
from speechkit.labels.mixtures import Header, Mixture, Source, write_mixtures
from speechkit.separation import model_folder
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.separation.inference_config import EvaluationConfig

RATE = 8000
NETWORK = ConvTasNetConfig(
    filters=16, kernel=16, bottleneck=8, skip=8, hidden=16, blocks=2, repeats=1
)


def make_model(root, name="dm", seed=0, selection="plain", network=NETWORK, rate=RATE):
    folder = root / "exp" / "separation" / name / f"seed{seed}"
    folder.mkdir(parents=True)
    weights = {}
    for which, number in (("plain", 1), ("weighted", 2)):
        torch.manual_seed(10 * seed + number)
        weights[which] = ConvTasNet(network).state_dict()
    model_folder.write(folder, network, rate, selection, {}, weights, [])
    return folder


def make_mixtures(root, count=6, rate=RATE, name="test", samples=0, speakers=2, silent=()):
    """``data/<name>_2mix`` of generated voices; some mixtures with a silent first source."""
    folder = make_set(root, f"{name}_2mix", speakers=4, utterances=2, rate=rate, seconds=0.5)
    dataset = [(f"s{k}-u{j}", k) for j in range(2) for k in range(4)]
    soundfile.write(folder / "wav" / "s3-u1.wav", np.zeros(rate, np.float32), rate)
    utterances = {u.id: u for u in data.load(folder, root).utterances}
    mixtures = []
    for i in range(count):
        names = [dataset[(i + j * (1 + i // 4)) % 4 + 4 * (i % 2) * (j == 0)][0] for j in range(2)]
        names = ["s3-u1" if i in silent else names[0].replace("s3-u1", "s3-u0"), names[1]]
        names += ["s2-u1"] * (speakers - 2)
        sources = [Source(utterances[n], -2.0 * j, -10 * j) for j, n in enumerate(names)]
        length = samples or rate * (40 + i) // 100
        mixtures.append(Mixture(f"mix{i}", length, tuple(sources)))
    write_mixtures(folder, Header(rate, speakers), mixtures)
    return folder


def settings(**given):
    return EvaluationConfig(**{"name": "dm", "set": "test_2mix", "sdr": False, **given})
