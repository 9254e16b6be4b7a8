"""The network, the model over folds, and its folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from speechkit.acoustic.features import FeatureConfig, log_mel
from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card, half
from speechkit.acoustic.tdnn.model import TdnnModel, load_tdnn
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig, padded, run_stream
from speechkit.base.errors import UserError

LABELS = ("+NSN+", "+SPN+", "AA", "IY", "SIL")
SMALL = TdnnConfig(
    n_mels=40, widths=(24, 24, 16), kernels=(3, 3, 5), dilations=(1, 2, 3), outputs=15
)


def network(seed: int, config: TdnnConfig = SMALL) -> Tdnn:
    """A network with settled statistics and priors, in eval mode."""
    torch.manual_seed(seed)
    made = Tdnn(config)
    for layer in made.layers:
        layer.norm.running_mean.normal_(0, 0.3)
        layer.norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(layer.norm.weight, 1, 0.2)
    made.log_prior.copy_(torch.rand(config.outputs).softmax(0).log())
    return made.eval()


def wave(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    states = {f"fold{k}": half(network(k).state_dict()) for k in range(2)}
    states["full"] = half(network(9).state_dict())
    made = tmp_path / "tdnn0"
    made.mkdir()
    tdnn_folder.write(made, Card(LABELS, FeatureConfig(), SMALL), states, {"ann": 0, "bob": 1})
    return made


def test_default_size_and_reach() -> None:
    made = Tdnn(TdnnConfig())
    assert sum(p.numel() for p in made.parameters()) == 946_686
    assert made.config.reach == 17
    assert sum(t.numel() * 2 for t in half(made.state_dict()).values()) < 1.95e6  # two: < 4 MB


def test_same_as_plain_convolutions() -> None:
    """An independent reference: Conv1d with its own batch normalisation and skips."""
    made = network(0)
    x = torch.randn(2, 40 + 2 * SMALL.reach, 40)
    y = x.transpose(1, 2)
    for layer, dilation in zip(made.layers, SMALL.dilations, strict=True):
        conv, norm = layer.conv, layer.norm
        z = torch.nn.functional.conv1d(y, conv.weight.squeeze(2), conv.bias, dilation=dilation)
        z = torch.nn.functional.batch_norm(
            z, norm.running_mean, norm.running_var, norm.weight, norm.bias
        ).relu()
        cut = (y.shape[2] - z.shape[2]) // 2
        y = z + y[:, :, cut : y.shape[2] - cut] if y.shape[1] == z.shape[1] else z
    wanted = torch.einsum("bct,sc->bts", y, made.output.weight[:, :, 0, 0]) + made.output.bias
    with torch.no_grad():
        torch.testing.assert_close(made(x), wanted, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(made.folded()(x), wanted, atol=1e-4, rtol=1e-4)


def test_stream_is_utterance_by_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither neighbours nor blocks change a frame; also of a single one."""
    made = network(0).folded()
    utterances = [torch.randn(n, 40) for n in (30, 1, 57)]
    monkeypatch.setattr("speechkit.acoustic.tdnn.network._BLOCK", 20)
    with torch.no_grad():
        found = run_stream(made, utterances, hidden=True)
        for utterance, (states, hidden) in zip(utterances, found, strict=True):
            logits, last = made(padded(utterance, SMALL.reach)[None], hidden=True)
            assert hidden is not None and hidden.shape == (len(utterance), 16)
            torch.testing.assert_close(states, logits[0].log_softmax(-1), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(hidden, last[0], atol=1e-5, rtol=1e-5)


def test_evidence_alone_and_in_a_batch(folder: Path) -> None:
    model = load_tdnn(folder)
    waves = [wave(16_000, 1), wave(400, 2), wave(5_000, 3)]
    for one, together in zip(map(model.evidence, waves), model.evidence_many(waves), strict=True):
        torch.testing.assert_close(
            one.log_posteriors, together.log_posteriors, atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(one.state_scores, together.state_scores, atol=1e-5, rtol=1e-5)
    assert model.evidence_many([]) == []
    assert model.evidence(waves[1]).frames == 1
    with pytest.raises(UserError, match="less than one frame"):
        model.evidence(wave(100))


def test_mean_of_folds(folder: Path) -> None:
    model = load_tdnn(folder)
    features = [log_mel(wave(8_000), FeatureConfig())]
    networks = [network(k) for k in range(2)]
    for one in networks:
        one.load_state_dict({k: v.float() for k, v in half(one.state_dict()).items()})
    with torch.no_grad():
        states = [run_stream(one, features)[0][0] for one in networks]
        prior = (networks[0].log_prior + networks[1].log_prior) / 2
    mean = (sum(states) / 2).log_softmax(-1)
    found = model.evidence(wave(8_000))
    posteriors = mean.exp().reshape(-1, 5, 3).sum(-1).log()
    torch.testing.assert_close(found.log_posteriors, posteriors, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.state_scores, mean - prior, atol=1e-4, rtol=1e-4)
    total = found.log_posteriors.exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(len(total)))
    scaled = load_tdnn(folder, prior_scale=0.0).evidence(wave(8_000))
    torch.testing.assert_close(scaled.state_scores, mean, atol=1e-4, rtol=1e-4)


def test_for_speaker(folder: Path) -> None:
    model = load_tdnn(folder, hidden=True)
    assert model.members == ["fold0", "fold1"]
    assert model.for_speaker("ann").members == ["fold0"]
    assert model.for_speaker("bob").members == ["fold1"]
    assert model.for_speaker("ann").for_speaker("new").members == ["fold0", "fold1"]
    assert model.for_speaker(None).members == ["fold0", "fold1"]
    full = load_tdnn(folder, unseen="full", hidden=True)
    assert full.members == full.for_speaker("new").members == ["full"]
    assert full.for_speaker("ann").members == ["fold0"]
    assert model.for_speaker("ann").fingerprint == model.fingerprint != full.fingerprint
    assert model.evidence(wave(4000)).hidden is None
    hidden = full.evidence(wave(4000)).hidden
    assert hidden is not None and hidden.shape[1] == 16
    # the axes of a fold's network are its own: nothing that others could read
    assert full.for_speaker("ann").evidence(wave(4000)).hidden is None
    for view in (model, full.for_speaker("ann")):
        assert "fold0" in view.hidden_error().problem


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_any_hidden_layer(folder: Path, layer: int) -> None:
    """In a stream, in a batch, and by the part of the network up to it, differentiably."""
    made = network(0)
    utterances = [torch.randn(n, 40) for n in (30, 1)]
    found = run_stream(made.folded(), utterances, hidden=layer)
    for utterance, (_, hidden) in zip(utterances, found, strict=True):
        x = padded(utterance, SMALL.reach)[None]
        wanted = x.transpose(1, 2).unsqueeze(2)
        for each in made.layers[:layer]:
            wanted = each(wanted)
        beyond = (wanted.shape[3] - len(utterance)) // 2
        wanted = wanted[0, :, 0, beyond : wanted.shape[3] - beyond].T
        assert hidden is not None
        torch.testing.assert_close(hidden, wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(made.hidden(x, layer)[0], wanted)
    made.hidden(x, layer).sum().backward()
    gradients = [each.conv.weight.grad is not None for each in made.layers]
    assert gradients == [number < layer for number in range(3)]
    one = load_tdnn(folder, unseen="full", hidden=layer).evidence(wave(4000))
    assert one.hidden is not None and one.hidden.shape == (one.frames, SMALL.widths[layer - 1])
    assert load_tdnn(folder, unseen="full").evidence(wave(4000)).hidden is None


def test_no_such_hidden_layer(folder: Path) -> None:
    with pytest.raises(UserError, match="no hidden layer 4") as raised:
        load_tdnn(folder, hidden=4)
    assert "1 to 3" in raised.value.remedy


def test_transition_probabilities(folder: Path) -> None:
    assert load_tdnn(folder).transition_probabilities() is None
    card = tdnn_folder.read_card(folder)
    stay = {"fold0": [0.5] * 15, "fold1": [0.75] * 15}
    states = {"fold0": half(network(0).state_dict()), "fold1": half(network(1).state_dict())}
    before = card.fingerprint()
    tdnn_folder.write(folder, replace(card, stay=stay), states, {"ann": 0})
    model = load_tdnn(folder)
    assert model.fingerprint != before
    found = model.transition_probabilities()
    assert found is not None and found.shape == (15, 2) and (found == [0.625, 0.375]).all()
    one = model.for_speaker("ann").transition_probabilities()
    assert one is not None and (one == 0.5).all()
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("fold0: 0.5 ", "fold0: "))
    with pytest.raises(UserError, match="not a number for each state"):
        load_tdnn(folder)


def test_states_of_phones(folder: Path) -> None:
    model = load_tdnn(folder)
    assert model.state_ids(PhoneInContext("IY")) == (9, 10, 11)
    assert model.state_ids(PhoneInContext("AA1")) == (6, 7, 8)
    assert model.state_ids(PhoneInContext("SIL")) == (12, 13, 14)
    assert model.state_ids(PhoneInContext("SPN")) == model.state_ids(PhoneInContext("+SPN+"))
    assert model.state_ids(PhoneInContext("SPN")) == (3, 4, 5)
    assert model.plain_state(7) == 7 and model.topology == "hmm"
    with pytest.raises(UserError, match="no phone 'ZZ'"):
        model.state_ids(PhoneInContext("ZZ"))


def test_export_keeps_fingerprint_and_evidence(folder: Path, tmp_path: Path) -> None:
    given = load_tdnn(tdnn_folder.export(folder, tmp_path / "mean"))
    model = load_tdnn(folder)
    assert sorted(p.name for p in (tmp_path / "mean").iterdir()) == [
        "config.yaml",
        "fold0.safetensors",
        "fold1.safetensors",
    ]
    assert given.fingerprint == model.fingerprint
    mine, theirs = model.evidence(wave(4000)), given.evidence(wave(4000))
    torch.testing.assert_close(mine.log_posteriors, theirs.log_posteriors)
    tdnn_folder.export(folder, tmp_path / "full", ["full"])
    whole = load_tdnn(tmp_path / "full", unseen="full")
    assert whole.members == ["full"]
    assert whole.fingerprint == load_tdnn(folder, unseen="full").fingerprint
    assert load_tdnn(tmp_path / "full").fingerprint == model.fingerprint


def test_damaged_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not an acoustic model"):
        load_tdnn(tmp_path / "nothing")
    good = (folder / "fold1.safetensors").read_bytes()
    (folder / "fold1.safetensors").write_bytes((folder / "fold0.safetensors").read_bytes())
    with pytest.raises(UserError, match="is not the network that"):
        load_tdnn(folder)
    (folder / "fold1.safetensors").write_bytes(good[:1000])
    with pytest.raises(UserError, match="cannot be read"):
        load_tdnn(folder)
    for name in ("fold0", "fold1", "full"):
        (folder / f"{name}.safetensors").unlink()
    with pytest.raises(UserError, match="none of the networks"):
        load_tdnn(folder)


@pytest.mark.parametrize(
    "change", [{"kind": "other"}, {"labels": None}, {"unseen": "best"}, {"network": {"x": 1}}]
)
def test_bad_card(folder: Path, change: dict) -> None:
    card = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**card, **change}))
    with pytest.raises(UserError):
        load_tdnn(folder)


def test_missing_member(folder: Path) -> None:
    (folder / "full.safetensors").unlink()
    with pytest.raises(UserError, match="no network 'full'"):
        load_tdnn(folder, unseen="full")


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": (8, 8), "kernels": (3,), "dilations": (1,)},
        {"widths": (8,), "kernels": (4,), "dilations": (1,)},
        {"widths": (0,), "kernels": (3,), "dilations": (1,)},
        {"widths": (8,), "kernels": (3,), "dilations": (0,)},
        {"dropout": 1.0},
    ],
)
def test_bad_network_settings(settings: dict) -> None:
    with pytest.raises(UserError):
        TdnnConfig(**settings)


def test_light_imports() -> None:
    """What `predict` imports must start fast."""
    heavy = [
        "lightning",
        "pandas",
        "scipy",
        "sklearn",
        "speechbrain",
        "matplotlib",
        "torchaudio",
        "soundfile",
    ]
    code = (
        "import sys, speechkit.acoustic.tdnn.model; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_model_needs_its_members() -> None:
    with pytest.raises(UserError, match="no network 'fold3'"):
        TdnnModel("m", {"fold0": network(0)}, Card(LABELS, FeatureConfig(), SMALL)).of("fold3")
