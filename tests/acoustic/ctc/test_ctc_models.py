"""CTC models of Hugging Face (tiny, random, saved here) and torchaudio."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.ctc.model import load_ctc
from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.models import load_model
from speechkit.base.errors import MissingDependency, UserError
from speechkit.labels.phones import ARPABET

VOCABULARY = ["<pad>", "<s>", "</s>", "<unk>", "|", *ARPABET, "AH0"]


def make_model(
    folder: Path, family: str = "Wav2Vec2", normalise: bool = True, vocabulary=VOCABULARY
) -> Path:
    """A tiny random model with a CTC head: a frame every 80 samples."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8),
        conv_kernel=(20, 8),
        conv_stride=(10, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer" if normalise else "group",
        do_stable_layer_norm=normalise,
        pad_token_id=0,
    )
    getattr(transformers, f"{family}ForCTC")(config).save_pretrained(folder)
    table = {label: number for number, label in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(table))
    front = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "do_normalize": normalise,
        "return_attention_mask": normalise,
        "sampling_rate": 16000,
        "feature_size": 1,
        "padding_value": 0.0,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(front))
    return folder


def wave(samples: int = 8000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples) + 0.02).astype(np.float32)


@pytest.mark.parametrize(
    ("family", "normalise"),
    [("Wav2Vec2", True), ("Wav2Vec2", False), ("Hubert", True), ("WavLM", True)],
)
def test_evidence_is_that_of_transformers(tmp_path, family, normalise):
    import transformers

    folder = make_model(tmp_path / "m", family, normalise)
    model = load_model(str(folder))
    assert model.topology == "ctc" and model.frame_shift == pytest.approx(80 / 16000)
    assert model.labels == ("<blank>", *ARPABET, "SPN")
    evidence = model.evidence(wave())
    reference = getattr(transformers, f"{family}ForCTC").from_pretrained(folder).eval()
    samples = torch.from_numpy(wave())
    if normalise:
        samples = (samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7)
    with torch.no_grad():
        probabilities = reference(samples[None]).logits[0].softmax(-1)
    found = evidence.log_posteriors.exp()
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))
    of = {label: probabilities[:, VOCABULARY.index(label)] for label in VOCABULARY}
    expected = {"<blank>": of["<pad>"] + of["|"], "AH": of["AH"] + of["AH0"], "K": of["K"]}
    for label, values in expected.items():
        torch.testing.assert_close(found[:, model.labels.index(label)], values)
    spn = of["<s>"] + of["</s>"] + of["<unk>"]
    torch.testing.assert_close(found[:, model.labels.index("SPN")], spn)


def test_many_are_as_one_by_one_and_texts_can_be_aligned(tmp_path):
    model = load_ctc(str(make_model(tmp_path / "m")), hidden=True)
    waves = [wave(4000), wave(8000, 1)]
    for found, samples in zip(model.evidence_many(waves), waves, strict=True):
        alone = model.evidence(samples)
        torch.testing.assert_close(found.log_posteriors, alone.log_posteriors)
        assert found.hidden is not None and found.hidden.shape == (found.frames, 16)
    words = [[("K", "AE1", "T")], [("AH0",), ("EY1",)]]
    alignment = align(model, model.evidence(waves[1]), words)
    assert [s.phone for s in alignment.segments][:3] == ["K", "AE1", "T"]
    assert model.state_ids(PhoneInContext("SIL")) == (0,)
    with pytest.raises(UserError, match="no phone 'QQ'"):
        model.state_ids(PhoneInContext("QQ"))


def test_too_short_audio(tmp_path):
    model = load_ctc(str(make_model(tmp_path / "m")))
    for count in (1, 50, 80):
        with pytest.raises(UserError, match="too few"):
            model.evidence(wave(count))


def test_fingerprint_follows_weights_preprocessing_and_map(tmp_path):
    folder = make_model(tmp_path / "m")
    prints = [load_ctc(str(folder)).fingerprint]
    assert load_ctc(f"hf:{folder}").fingerprint == prints[0]
    (tmp_path / "map").write_text("| SPN\n")
    prints.append(load_ctc(f"{folder},map={tmp_path / 'map'}").fingerprint)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\0")
    prints.append(load_ctc(str(folder)).fingerprint)
    front = json.loads((folder / "preprocessor_config.json").read_text())
    text = json.dumps({**front, "do_normalize": False})
    (folder / "preprocessor_config.json").write_text(text)
    prints.append(load_ctc(str(folder)).fingerprint)
    assert len(set(prints)) == 4


def test_letters_need_a_map(tmp_path):
    letters = ["<pad>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    folder = make_model(tmp_path / "m", vocabulary=letters)
    with pytest.raises(UserError, match="writes letters"):
        load_ctc(str(folder))
    (folder / "arpabet.txt").write_text("B B\nA AA\n")
    found = load_ctc(str(folder)).label_map
    assert found["A"] == "AA" and found["|"] == found["<pad>"] == "<blank>"


def test_what_is_no_ctc_model_is_said_so(tmp_path):
    import transformers

    with pytest.raises(UserError, match="neither a folder nor a model"):
        load_ctc("hf:one/two/three")
    folder = make_model(tmp_path / "bare")
    transformers.Wav2Vec2ForCTC.from_pretrained(folder).wav2vec2.save_pretrained(folder)
    with pytest.raises(UserError, match=r"lacks 2 weights.*lm_head"):
        load_ctc(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        load_ctc(str(folder))
    for content in ("[]", '{"A": "x"}', '{"A": 900}'):
        (folder / "vocab.json").write_text(content)
        with pytest.raises(UserError, match=r"vocab\.json"):
            load_ctc(str(folder))


def test_without_network_the_way_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("speechkit.base.hub.offline", lambda: True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError, match="could not be fetched") as caught:
        load_model("hf:nobody/no-such-model-at-all")
    assert "hf download nobody/no-such-model-at-all" in caught.value.remedy
    assert "`am`" in caught.value.remedy


def test_transformers_missing(monkeypatch, tmp_path):
    folder = make_model(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependency, match="transformers"):
        load_ctc(str(folder))


def test_torchaudio_bundles():
    with pytest.raises(UserError, match="writes letters"):
        load_model("torchaudio:WAV2VEC2_ASR_BASE_960H")
    with pytest.raises(UserError, match="Did you mean 'WAV2VEC2_ASR_BASE_960H'"):
        load_model("torchaudio:WAV2VEC2_ASR_BASE_96H")


def test_a_torchaudio_bundle_of_phones(monkeypatch, tmp_path):
    from torchaudio import pipelines
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(0)
    layers = [(8, 10, 5), (8, 8, 64)]
    made = wav2vec2_model(
        "layer_norm", layers, True, 16, 0.0, 4, 2, 1, 2, 0.0, 32, 0.0, 0.0, True, 0.0, 41
    ).eval()
    bundle = pipelines.WAV2VEC2_ASR_BASE_960H
    monkeypatch.setattr(type(bundle), "get_labels", lambda self: ("-", "|", *ARPABET))
    monkeypatch.setattr(type(bundle), "get_model", lambda self: made)
    model = load_model("torchaudio:WAV2VEC2_ASR_BASE_960H")
    evidence = model.evidence(wave(6400))
    with torch.no_grad():
        expected = made(torch.from_numpy(wave(6400))[None])[0][0].softmax(-1)
    assert model.labels == ("<blank>", *ARPABET)
    torch.testing.assert_close(evidence.log_posteriors.exp()[:, 1:], expected[:, 2:])
    torch.testing.assert_close(evidence.log_posteriors.exp()[:, 0], expected[:, :2].sum(1))
    with pytest.raises(UserError, match="too few"):
        model.evidence(wave(20))
