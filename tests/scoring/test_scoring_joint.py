"""Acoustic network and scorer trained together: frames, means of phones, gradients, resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_set

from speechkit import audio
from speechkit.acoustic import tdnn_folder
from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn import load_tdnn
from speechkit.acoustic.tdnn_network import Tdnn, TdnnConfig
from speechkit.errors import UserError
from speechkit.kaldi import data
from speechkit.pronunciation.gop_folder import Row
from speechkit.scoring import joint_data, joint_network
from speechkit.workdir import WorkDir

LABELS = ("SIL", "AA", "IY", "S")
SHAPE = TdnnConfig(40, (16, 16, 12), (5, 3, 3), (1, 2, 3), 12, 0.1)


def write_model(folder: Path, seed: int = 0, names: tuple[str, ...] = ("full",)) -> Path:
    """A TDNN with random weights and statistics."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    networks = {}
    for name in names:
        network = Tdnn(SHAPE).train()
        with torch.no_grad():
            network(torch.randn(4, 60, 40) * 3)  # statistics of batch normalisation
        networks[name] = tdnn_folder.half(network.state_dict())
    card = tdnn_folder.Card(
        LABELS, FeatureConfig(), SHAPE, names[-1] if "full" in names else "mean"
    )
    tdnn_folder.write(folder, card, networks, {})
    return folder


def make_rows(root: Path, set_name: str, seed: int = 0) -> dict[str, list[Row]]:
    """Phones at random places of every utterance, the first from the first frame on."""
    draw = np.random.default_rng(seed)
    found: dict[str, list[Row]] = {}
    for utterance in data.load(root / "data" / set_name, root).utterances:
        samples = audio.read(utterance.wav)[0]
        frames = 1 + int(np.ceil((len(samples) - 400) / 160))
        count = int(draw.integers(1, 9))
        inner = np.sort(draw.choice(np.arange(1, frames), 2 * count - 1, replace=False))
        edges = [0, *inner] if len(found) % 3 == 0 else [*inner, frames]
        found[utterance.id] = [
            Row(
                i, i // 2, f"W{i // 2}", LABELS[1 + int(draw.integers(3))],
                float(f"{edges[2 * i] * 0.01:.6g}"),
                float(f"{(edges[2 * i + 1] - edges[2 * i]) * 0.01:.6g}"), -1.0, -1.0,
            )
            for i in range(count)
        ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    root = tmp_path_factory.mktemp("joint")
    make_set(root, speakers=3, utterances=3, seconds=0.5)
    write_model(root / "exp/acoustic/tiny")
    return WorkDir(root)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_means_are_those_of_the_evidence(place: WorkDir, layer: int) -> None:
    folder = place.exp("acoustic", "tiny")
    rows = make_rows(place.root, "train", layer)
    network, card = joint_network.trainable(folder, layer)
    found = joint_data.load(place, "train", rows, card.features, card.network.reach)
    means = joint_network.phone_means(network, found, layer)
    assert len(means) == found.first[-1] == sum(map(len, rows.values()))
    expected = []
    model = load_tdnn(folder, hidden=layer)
    for utterance in data.load(place.data("train"), place.root).utterances:
        hidden = model.evidence(audio.read(utterance.wav, 16000)[0]).hidden
        assert hidden is not None
        for row in rows[utterance.id]:
            begin, end = round(row.start * 100), round((row.start + row.duration) * 100)
            expected.append(hidden[begin:end].mean(0).numpy())
    np.testing.assert_allclose(means, np.array(expected), atol=2e-5)


def test_a_phone_does_not_depend_on_its_batch(place: WorkDir) -> None:
    rows = make_rows(place.root, "train", 5)
    network, card = joint_network.trainable(place.exp("acoustic", "tiny"), 3)
    found = joint_data.load(place, "train", rows, card.features, card.network.reach)
    whole = joint_network.phone_means(network, found, 3)
    for number in (0, 4, 8):
        alone = joint_network.phone_means(network, found.subset([number]), 3)
        np.testing.assert_allclose(
            alone, whole[found.first[number] : found.first[number + 1]], atol=1e-6
        )
    order = [7, 2, 5]
    mixed = joint_network.stream_means(network, found.stream(order), 3).detach().numpy()
    parts = [whole[found.first[i] : found.first[i + 1]] for i in order]
    np.testing.assert_allclose(mixed, np.concatenate(parts), atol=2e-5)


def test_bad_models_and_alignments(place: WorkDir, tmp_path: Path) -> None:
    folds = write_model(tmp_path / "folds", names=("fold0", "fold1"))
    with pytest.raises(UserError, match=r"not scored by one network .* which has fold0, fold1"):
        joint_network.trainable(folds, 1)
    with pytest.raises(UserError, match="no hidden layer 4"):
        joint_network.trainable(place.exp("acoustic", "tiny"), 4)
    frames = np.zeros((50, 40), np.float32)
    with pytest.raises(UserError, match="no times"):
        joint_data.cut(frames, np.array([[np.nan, np.nan]]), 3)
    with pytest.raises(UserError, match=r"ends at 0\.54 s, its frames at 0\.50 s"):
        joint_data.cut(frames, np.array([[0.1, 0.44]]), 3)
    with pytest.raises(UserError, match="1 utterances have no audio or no alignment, nobody"):
        joint_data.load(place, "train", {"nobody": []}, FeatureConfig(), 3)
    for spec in ("sphinx", "hf:facebook/wav2vec2-base-960h"):
        config = {"method": "deep", "am": [spec], "blocks": [{"fingerprint": ""}]}
        with pytest.raises(UserError, match="cannot update the acoustic model") as error:
            joint_network.acoustic_folder(config, place, "--finetune unfrozen")
        assert "train acoustic" in error.value.remedy
    config = {"method": "deep", "am": ["tiny"], "blocks": [{"fingerprint": "x"}]}
    with pytest.raises(UserError, match="another model"):
        joint_network.acoustic_folder(config, place, "--finetune unfrozen")
    with pytest.raises(UserError, match="by the method 'segment'"):
        joint_network.acoustic_folder({**config, "method": "segment"}, place, "--pretrain unfrozen")
