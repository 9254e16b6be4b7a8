"""Acoustic network and scorer trained together: frames, means of phones, gradients, resuming."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import dask_workers
import numpy as np
import pytest
import torch
from conftest import make_set

from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.model import load_tdnn
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.phone_features.pipeline import FeaturePipeline, FeatureSettings
from speechkit.scoring import joint, joint_data, joint_network
from speechkit.scoring.batches import Batches
from speechkit.scoring.config import ScoringConfig
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.joint import Examples, Joined
from speechkit.scoring.joint_data import JointData
from speechkit.scoring.models import Scorer, ScorerConfig, build
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


def scored_set(root: Path, seed: int = 0, name: str = "train") -> ScoringSet:
    """Phones at random places of every utterance, some up to its first or last frame."""
    draw = np.random.default_rng(seed)
    features_of = [{"method": "deep", "am": ["tiny"], "layer": 3, "sample_rate": 16000}]
    found = ScoringSet(name, features_of=features_of)
    times: list[tuple[int, int]] = []
    counts: list[int] = []
    words: list[int] = []
    for utterance in data.load(root / "data" / name, root).utterances:
        frames = 1 + math.ceil((len(audio.read(utterance.wav)[0]) - 400) / 160)
        count = int(draw.integers(1, 9))
        inner = np.sort(draw.choice(np.arange(1, frames), 2 * count - 1, replace=False))
        edges = [0, *inner] if len(counts) % 3 == 0 else [*inner, frames]
        times += [(edges[i], edges[i + 1] - edges[i]) for i in range(0, 2 * count, 2)]
        words += [len(words and counts) * 9 + i // 2 for i in range(count)]
        counts.append(count)
        found.utterances.append(utterance.id)
        found.speakers.append(utterance.speaker)
    found.phones = [LABELS[1 + k] for k in draw.integers(3, size=len(times))]
    # as rows.tsv has them
    rounded = np.array([[float(f"{frame * 0.01:.6g}") for frame in pair] for pair in times])
    found.starts, found.durations = rounded.T.copy()
    found.first = np.cumsum([0, *counts])
    found.words = np.unique(words, return_inverse=True)[1].astype(np.int64)
    found.first_word = np.append(found.words[found.first[:-1]], found.words[-1] + 1)
    which = np.array([phone == "AA" for phone in found.phones], np.float32)
    found.labels = np.add.reduceat(which, found.first[:-1]) / np.array(counts, np.float32)
    found.features = np.zeros((len(times), SHAPE.widths[-1]), np.float32)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    root = tmp_path_factory.mktemp("joint")
    make_set(root, speakers=3, utterances=3, seconds=0.5)
    write_model(root / "exp/acoustic/tiny")
    return WorkDir(root)


def opened(place: WorkDir, found: ScoringSet, layer: int = 3) -> tuple[Tdnn, JointData]:
    """The network, and the frames of the set."""
    network, card = joint_network.trainable(place.exp("acoustic", "tiny"), layer)
    return network, joint_data.load(place, found, card.features, card.network.reach)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_means_are_those_of_the_evidence(place: WorkDir, layer: int) -> None:
    found = scored_set(place.root, layer)
    network, frames = opened(place, found, layer)
    means = joint_network.phone_means(network, frames, layer)
    assert frames.first.tolist() == found.first.tolist()
    model = load_tdnn(place.exp("acoustic", "tiny"), hidden=layer)
    row = iter(np.stack([found.starts, found.durations], 1))
    expected = []
    for utterance in data.load(place.data("train"), place.root).utterances:
        hidden = model.evidence(audio.read(utterance.wav, 16000)[0]).hidden
        assert hidden is not None
        number = found.utterances.index(utterance.id)
        for start, duration in (next(row) for _ in range(*found.first[number : number + 2])):
            begin, end = round(start * 100), round((start + duration) * 100)
            expected.append(hidden[begin:end].mean(0).numpy())
    np.testing.assert_allclose(means, np.array(expected), atol=2e-5)


def test_a_phone_does_not_depend_on_its_batch(place: WorkDir) -> None:
    network, frames = opened(place, scored_set(place.root, 5))
    whole = joint_network.phone_means(network, frames, 3)
    parts = [whole[a:b] for a, b in zip(frames.first[:-1], frames.first[1:], strict=True)]
    for number in (0, 4, 8):
        alone = joint_network.phone_means(network, frames.subset([number]), 3)
        np.testing.assert_allclose(alone, parts[number], atol=1e-6)
    order = [7, 2, 5]
    mixed = joint_network.stream_means(network, frames.stream(order), 3).detach().numpy()
    np.testing.assert_allclose(mixed, np.concatenate([parts[i] for i in order]), atol=2e-5)


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
    found = scored_set(place.root)
    found.utterances[2] = "nobody"
    with pytest.raises(UserError, match=r"lacks audio of nobody \(in all of 1"):
        joint_data.load(place, found, FeatureConfig(), 3)
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


CONFIG = ScoringConfig(
    epochs=3, batch_size=4, learning_rate=1e-3, joint_learning_rate=1e-3, weight_decay=0.0,
    precision="32",
)  # fmt: skip


def prepared(place: WorkDir, dropout: float = 0.0) -> tuple[Tdnn, Scorer, Examples]:
    found = scored_set(place.root)
    network, frames = opened(place, found)
    scorer = build(ScorerConfig(12, dropout=dropout), [3])
    return network, scorer, Examples(frames, Batches(found))


def trained(
    place: WorkDir,
    tmp_path: Path,
    config: ScoringConfig = CONFIG,
    measured: dict[str, Examples] | None = None,
) -> Joined:
    network, scorer, examples = prepared(place, 0.1)
    net = joint.JointNet(network, scorer, 3, config, examples, measured or {"track": examples})
    return joint.train_joint(
        net, seed=7, device=torch.device("cpu"),
        checkpoint=tmp_path / "state.ckpt", tensorboard=tmp_path / "events", label="test",
    )  # fmt: skip


def test_gradients_reach_the_layers_below_and_statistics_stay(place: WorkDir) -> None:
    _, _, examples = prepared(place)
    network, _ = joint_network.trainable(place.exp("acoustic", "tiny"), 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    net = joint.JointNet(network, build(ScorerConfig(16), [3]), 2, CONFIG, examples, {})
    net.train()
    assert net.scorer.training and not any(m.training for m in net.network.modules())
    optimizer = net.new_optimizer()
    chosen = [5, 0, 3]
    labels = torch.from_numpy(examples.labels)[chosen]
    loss = net.loss((chosen, examples.data.stream(chosen), labels))
    loss.backward()
    optimizer.step()
    for name, parameter in net.named_parameters():
        above = name.startswith(("network.layers.2", "network.output"))
        assert (parameter.grad is None) == above, name
        assert above or parameter.grad.abs().sum() > 0, name  # type: ignore[union-attr]
    for name, value in network.state_dict().items():
        moved = not torch.equal(value, before[name])
        assert moved == (name.startswith(("layers.0", "layers.1")) and "running" not in name
                         and "num_batches" not in name), name  # fmt: skip


def test_a_batch_scores_as_its_utterances_alone(place: WorkDir) -> None:
    network, scorer, examples = prepared(place)
    net = joint.JointNet(network, scorer, 3, CONFIG, examples, {}).eval()
    together = net.predict(examples)
    found = examples.batches.data
    means = joint_network.phone_means(network, examples.data, 3)
    stored = Batches(found.with_features(means))
    index = torch.arange(len(found.utterances))[None]
    np.testing.assert_allclose(together, scorer(stored.batch(index))[0].detach(), atol=1e-6)
    alone = []
    for number in range(len(together)):
        stream = examples.data.stream([number])
        features = joint_network.stream_means(network, stream, 3)
        alone.append(scorer(examples.batch([number], features)).item())
    np.testing.assert_allclose(together, alone, atol=2e-6)
    labels = torch.from_numpy(found.labels)
    losses = [
        net.loss((part, examples.data.stream(part), labels[part])).item()
        for part in (list(range(9)), *([n] for n in range(9)))
    ]
    assert losses[0] == pytest.approx(np.mean(losses[1:]), rel=1e-5)
    assert losses[0] == pytest.approx(float(((together - found.labels) ** 2).mean()), rel=1e-4)


def test_training_lowers_the_loss_and_a_killed_run_goes_on(
    place: WorkDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(place, tmp_path / "a")
    assert [*whole.rows[0]][:3] == ["train_mse", "track_pcc", "track_mse"] and whole.epoch == 3
    long = trained(
        place, tmp_path / "b", replace(CONFIG, epochs=30, learning_rate=5e-3, clip=math.inf)
    )
    assert long.rows[-1]["track_mse"] < 0.3 * long.rows[0]["track_mse"]
    assert all(value.dtype == torch.float16 for k, value in whole.network.items() if "conv" in k)
    real, steps = joint.JointNet.loss, []

    def dies(self, batch):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(joint, "CHECKPOINT_MINUTES", 0.0)
    monkeypatch.setattr(joint.JointNet, "loss", dies)
    with pytest.raises(KeyboardInterrupt):
        trained(place, tmp_path / "c")
    monkeypatch.setattr(joint.JointNet, "loss", real)
    again = trained(place, tmp_path / "c")
    assert again.rows == whole.rows
    for one, other in ((again.scorer, whole.scorer), (again.network, whole.network)):
        assert all(torch.equal(other[key], value) for key, value in one.items())


def test_the_best_epoch_of_a_selecting_set(place: WorkDir, tmp_path: Path) -> None:
    _, _, examples = prepared(place)
    found = trained(place, tmp_path, measured={"select": examples})
    assert found.epoch == 1 + int(np.argmax([row["select_pcc"] for row in found.rows]))


def test_rates_of_both_parts(place: WorkDir, tmp_path: Path) -> None:
    still = trained(place, tmp_path, replace(CONFIG, joint_learning_rate=0.0))
    network, _, _ = prepared(place)
    before = tdnn_folder.half(network.state_dict())
    assert all(torch.equal(before[key], value) for key, value in still.network.items())


def test_folder_features_and_pipeline(
    place: WorkDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, card = scored_set(place.root), tdnn_folder.read_card(place.exp("acoustic", "tiny"))
    result = trained(place, tmp_path)
    seed = tmp_path / "seed0"
    seed.mkdir()
    assert not joint_network.is_joint(seed)
    own = joint_network.write(seed, result.network, card, "tiny")
    assert joint_network.is_joint(seed) and own.fingerprint() != card.fingerprint()
    model = load_tdnn(seed / "acoustic", hidden=True)
    assert model.members == ["full"] and model.fingerprint == own.fingerprint()
    (means,) = joint_network.features_of_models(place, found, [seed])
    network, _ = joint_network.trainable(seed / "acoustic", 3)
    plain, frames = opened(place, found)
    np.testing.assert_allclose(means, joint_network.phone_means(network, frames, 3), atol=1e-6)
    assert np.abs(means - joint_network.phone_means(plain, frames, 3)).max() > 1e-3
    monkeypatch.setattr(joint_network, "_FRAMES", 300)
    (here,) = joint_network.features_of_models(place, found, [seed])
    with dask_workers.in_process() as executor:
        (there,) = joint_network.features_of_models(place, found, [seed], executor=executor)
    assert here.tobytes() == there.tobytes()


def test_features_of_a_recording(place: WorkDir, tmp_path: Path) -> None:
    result, folder = trained(place, tmp_path), place.exp("acoustic", "tiny")
    card = tdnn_folder.read_card(folder)
    (tmp_path / "seed0").mkdir()
    joint_network.write(tmp_path / "seed0", result.network, card, "tiny")
    first = FeaturePipeline.create(FeatureSettings(("tiny",), "deep"), place)
    config = first.config()
    pipeline = joint_network.pipeline(config, tmp_path / "seed0", place)
    samples = audio.read(place.data("train") / "wav/s1-u2.wav", 16000)[0]
    words: list[list[tuple[str, ...]]] = [[("AA", "S")], [("IY",)]]
    before, after = first.extract(samples, words), pipeline.extract(samples, words)
    assert before.rows == after.rows  # of the first model, which finds the phones
    hidden = load_tdnn(tmp_path / "seed0/acoustic", hidden=True).evidence(samples).hidden
    assert hidden is not None
    for segment, values in zip(after.alignment.segments, after.features, strict=True):
        expected = hidden[segment.start_frame : segment.end_frame].mean(0)
        np.testing.assert_allclose(values, expected, atol=1e-4)
    config["blocks"][0]["fingerprint"] = "other"
    with pytest.raises(UserError, match="phones that another model than 'tiny' found"):
        joint_network.pipeline(config, tmp_path / "seed0", place)
