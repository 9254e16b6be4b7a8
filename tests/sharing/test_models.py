"""Cards and weights of every kind of model, changed at random: loaded, or refused in words."""

import copy
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from emotion_models import CLASSES, write_encoder_model
from safetensors.torch import _SIZE, load_file, save_file
from scoring_models import write_scorers
from scoring_sets import write_acoustic
from separation_models import make_model
from speaker_models import write_model

from speechkit.base.errors import UserError
from speechkit.emotion import features, model_folder
from speechkit.emotion.fbank_cnn import FbankCnn
from speechkit.sharing.models import require_model, require_weights

VALUES = [
    None, "x", "", -1, 0, 1, 10**9, 10**30, 1e308, float("nan"), float("inf"), [], {}, [1], ["a"],
    True, 3.5, {"a": 1}, "../../x", [10**9] * 5,
]  # fmt: skip


def separation(root: Path) -> Path:
    return make_model(root)


def xvector(root: Path) -> Path:
    write_model(root)
    return root / "exp/xvector_nnet/net"


def acoustic(root: Path) -> Path:
    write_acoustic(root / "am")
    return root / "am"


def scoring(root: Path) -> Path:
    return write_scorers(root, {"am": ["am"], "columns": ["a"] * 5}, 5, seeds=(0,)) / "seed0"


def pronunciation(root: Path) -> Path:
    from speechkit.labels.scores import default_scales
    from speechkit.pronunciation import model_folder
    from speechkit.pronunciation.models import ModelConfig, build
    from speechkit.training.normaliser import Normaliser

    config = ModelConfig(inputs=6, width=4)
    card = model_folder.make_card(config, [{"am": ["x"]}], default_scales(), ["AA"], seed=0)
    weights = {key: value[0] for key, value in build(config, [0]).state_dict().items()}
    zeros = np.zeros((1, 6), np.float32)
    (root / "seed0").mkdir()
    model_folder.write(root / "seed0", card, weights, Normaliser(zeros, zeros + 1), [])
    return root / "seed0"


def emotion(root: Path, model: str, network: dict, weights: dict) -> Path:
    folder = root / "seed0"
    folder.mkdir()
    model_folder.write(
        folder, model=model, upstream=model, classes=CLASSES, sample_rate=16000, network=network,
        training={"set": "x", "max_seconds": 30.0}, weights=weights, rows=[], summary={},
    )  # fmt: skip
    return folder


def cnn(root: Path) -> Path:
    network = {"features": features.FBANK.as_dict(), "channels": [4, 4, 4, 4], "dropout": 0.5}
    weights = FbankCnn(features.FBANK.n_mels, len(CLASSES), (4, 4, 4, 4)).state_dict()
    return emotion(root, "fbank-cnn", network, weights)


def functionals(root: Path) -> Path:
    weights = {
        "mean": torch.zeros(5), "scale": torch.ones(5),
        "output.weight": torch.zeros(3, 5), "output.bias": torch.zeros(3),
    }  # fmt: skip
    return emotion(root, "functionals", {"head": "linear", "speaker_norm": False}, weights)


def frozen_encoder(root: Path) -> Path:
    return write_encoder_model(root, frozen=True)


MODELS = [
    separation, xvector, acoustic, scoring, pronunciation, cnn, functionals, frozen_encoder,
]  # fmt: skip


def leaves(node, path=()):
    pairs = node.items() if isinstance(node, dict) else enumerate(node[:5])
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_a_card_of_wrong_values(make, tmp_path):
    folder = make(tmp_path)
    require_model(folder)
    card = folder / "config.yaml"
    good = yaml.safe_load(card.read_text())
    places = [place for place in leaves(good) if place[0] != "training"]
    rng = random.Random(make.__name__)
    for case in range(40):
        changed = copy.deepcopy(good)
        place = rng.choice(places)
        node = changed
        for key in place[:-1]:
            node = node[key]
        if case % 8:
            node[place[-1]] = rng.choice(VALUES)
        else:
            del node[place[-1]]
        card.write_text(yaml.safe_dump(changed, sort_keys=False))
        try:
            require_model(folder)
        except UserError as error:
            assert str(folder) in error.problem, (place, error)  # it names the file


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_weights_that_are_not_those_of_the_card(make, tmp_path):
    folder = make(tmp_path)
    path = folder / next(p.name for p in sorted(folder.glob("*.safetensors")))
    good, raw = load_file(path), path.read_bytes()
    name = max(good, key=lambda key: good[key].numel())
    value = good[name].clone()

    def changed(**more):
        tensors = {**good, **more}
        save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, path)

    damages = {
        "none": path.unlink,
        "a folder": path.mkdir,
        "text": lambda: path.write_text("x"),
        "a pickle": lambda: torch.save(good, path),
        "cut": lambda: path.write_bytes(raw[:-7]),
        "a tensor less": lambda: changed(**{name: None}),
        "another shape": lambda: changed(**{name: torch.zeros(*value.shape, 2)}),
        "whole numbers": lambda: changed(**{name: value.long()}),
        "complex numbers": lambda: changed(**{name: value.to(torch.complex64)}),
    }
    if torch.complex64 not in _SIZE:  # of older versions of safetensors
        del damages["complex numbers"]
    for what, damage in damages.items():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(raw) if what == "none" else None
        damage()
        with pytest.raises(UserError, match=r"safetensors|none of the networks"):
            require_model(folder)
            pytest.fail(what)
    path.write_bytes(raw)
    require_model(folder)
    require_weights(path)


def test_sizes_of_a_card_take_no_memory(tmp_path):
    """A network of a terabyte is refused by its shapes."""
    folder = separation(tmp_path)
    card = yaml.safe_load((folder / "config.yaml").read_text())
    card["network"].update(hidden=1 << 20, filters=1 << 20, bottleneck=1 << 20)
    (folder / "config.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(UserError, match=r"best.safetensors does not fit the network"):
        require_model(folder)
