"""Hidden features of phones: values, layers, fingerprints, and models that have none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from deep_models import make_ctc, make_tdnn
from tone_models import ToneModel, say

from speechkit.acoustic.features import log_mel
from speechkit.acoustic.models import load_model
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.network import padded
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET
from speechkit.phone_features.gop import frames_at
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.request import Extracted, Request
from speechkit.phone_features.settings import FeatureSettings
from speechkit.workdir import WorkDir

WORDS: list[list[tuple[str, ...]]] = [[("K", "AA1", "T")], [("B", "IY1")]]
TINY = FeatureSettings(am=("tiny",), method="deep")


def samples(seconds: float = 0.1) -> np.ndarray:
    return say(["K", "AA", "T", "B", "IY"], seconds)


def extracted(pipeline: FeaturePipeline, request: Request) -> Extracted:
    found = pipeline.extract_many([request])[0]
    assert isinstance(found, Extracted)
    return found


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_means_of_a_layer(tmp_path: Path, layer: int) -> None:
    """Against the network's layers, one after another, on the frames of the alignment."""
    folder = make_tdnn(tmp_path)
    pipeline = FeaturePipeline.create(replace(TINY, layer=layer), WorkDir(tmp_path))
    found = pipeline.extract(samples(), WORDS)
    card = tdnn_folder.read_card(folder)
    network = tdnn_folder.read_networks(folder, card, torch.device("cpu"))["full"]
    number = layer or 3
    x = padded(log_mel(samples(), card.features), card.network.reach)
    y = x.T[None, :, None]
    with torch.no_grad():
        for each in network.layers[:number]:
            y = each(y)
    beyond = card.network.beyond(number)
    hidden = y[0, :, 0, beyond : y.shape[3] - beyond].T.numpy()
    bounds = [(s.start_frame, s.end_frame) for s in found.alignment.segments]
    wanted = np.stack([hidden[a:b].mean(0) for a, b in bounds])
    np.testing.assert_allclose(found.features, wanted, atol=1e-5)
    assert found.features.dtype == np.float32
    assert pipeline.columns[0] == "tiny:deep_0" and len(pipeline.columns) == wanted.shape[1]
    config = pipeline.config()
    assert config["layer"] == number and config["blocks"][0]["layer"] == number


def test_several_recordings_as_one_by_one(tmp_path: Path) -> None:
    make_tdnn(tmp_path)
    pipeline = FeaturePipeline.create(TINY, WorkDir(tmp_path))
    requests = [Request(samples(s), WORDS, f"s{i}") for i, s in enumerate((0.1, 0.3, 0.05))]
    together = pipeline.extract_many(requests)
    for request, found in zip(requests, together, strict=True):
        assert isinstance(found, Extracted)
        np.testing.assert_allclose(found.features, extracted(pipeline, request).features, atol=1e-5)


def test_segments_of_another_model(tmp_path: Path) -> None:
    """Times in 20 ms frames become frames of 10 ms; of 8 ms, ties go to the later frame."""
    make_tdnn(tmp_path)
    tiny = load_model("tiny", WorkDir(tmp_path), hidden=True)
    settings = replace(TINY, align_with="tones")
    pipeline = FeaturePipeline(settings, [tiny, ToneModel(shift=0.02)])
    found = pipeline.extract(samples(), WORDS)
    hidden = tiny.evidence(samples()).hidden
    assert hidden is not None
    for segment, row in zip(found.alignment.segments, found.features, strict=True):
        own = hidden[2 * segment.start_frame : 2 * segment.end_frame].mean(0)
        np.testing.assert_allclose(row, own, atol=1e-5)
    frames = FeaturePipeline(replace(settings, level="frame"), pipeline.models)
    np.testing.assert_array_equal(frames.extract(samples(), WORDS).features, hidden.numpy())


def test_frames_at_times() -> None:
    starts = np.array([0.0, 0.03, 0.05, 0.9])
    first, last = frames_at(starts, np.array([0.03, 0.05, 0.05, 1.2]), 0.02, 50)
    assert first.tolist() == [0, 2, 3, 45] and last.tolist() == [2, 3, 4, 50]
    rng = np.random.default_rng(0)
    frames = np.sort(rng.integers(0, 9000, (200, 2)), axis=1)
    frames[:, 1] += 1
    for shift in (0.01, 0.02, 0.016, 0.0125):
        written = [[float(f"{v:.6g}") for v in (a * shift, (b - a) * shift)] for a, b in frames]
        start, duration = np.array(written).T
        found = frames_at(start, start + duration, shift, 9001)
        np.testing.assert_array_equal(np.stack(found, 1), frames)


def test_fingerprint(tmp_path: Path) -> None:
    make_tdnn(tmp_path)
    work = WorkDir(tmp_path)

    def of(**changes: object) -> str:
        return FeaturePipeline.create(replace(TINY, **changes), work).fingerprint  # type: ignore[arg-type]

    assert of() == of(layer=3) == of(level="frame")  # the means of frames are those of phones
    assert len({of(), of(layer=1), of(layer=2)}) == 3
    config = json.loads(json.dumps(FeaturePipeline.create(TINY, work).config()))
    again = FeaturePipeline.from_config(config, work)
    assert again.config() == config and again.settings.layer == 3
    make_tdnn(tmp_path, seed=7)
    with pytest.raises(UserError, match="made with other acoustic models"):
        FeaturePipeline.from_config(config, work)


def test_other_methods_are_as_before() -> None:
    """Folders and checkpoints from before deep features stay valid: their JSON is the same."""
    pipeline = FeaturePipeline(FeatureSettings(am=("tones",), prosody=True), [ToneModel()])
    assert pipeline.fingerprint == "59df6d88e27691e299d6392ce021f62e"
    assert list(pipeline.config()) == [
        "format", "am", "method", "align_with", "prosody", "sample_rate", "fingerprint", "blocks",
        "columns",
    ]  # fmt: skip


def test_a_cross_fitted_model_hears_all_by_its_full_network(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    make_tdnn(tmp_path, "both", folds=2, unseen="mean")
    pipeline = FeaturePipeline.create(replace(TINY, am=("both",)), work)
    ours, new = (extracted(pipeline, Request(samples(), WORDS, who)) for who in ("s1", "new"))
    np.testing.assert_array_equal(ours.features, new.features)
    hidden = pipeline.models[0].networks["full"]  # type: ignore[attr-defined]
    assert list(pipeline.models[0].networks) == ["full"] and hidden is not None  # type: ignore[attr-defined]
    make_tdnn(tmp_path, "folds", folds=2, full=False, unseen="mean")
    with pytest.raises(UserError, match="unrelated axes") as error:
        FeaturePipeline.create(replace(TINY, am=("folds",)), work)
    assert "`folds` 0 `full`" in error.value.remedy


def test_models_without_hidden_features(tmp_path: Path) -> None:
    make_tdnn(tmp_path)
    with pytest.raises(UserError, match="sphinx has no hidden features"):
        FeaturePipeline.create(replace(TINY, am=("sphinx",)), None)
    with pytest.raises(UserError, match="no hidden layer 4") as error:
        FeaturePipeline.create(replace(TINY, layer=4), WorkDir(tmp_path))
    assert "1 to 3" in error.value.remedy


@pytest.mark.parametrize(
    "settings",
    [
        {"am": ("a", "b"), "method": "deep"},
        {"method": "deep", "prosody": True},
        {"method": "deep", "level": "word"},
        {"method": "deep", "layer": -1},
        {"layer": 2},
        {"level": "frame"},
        {"am": ("a",), "stp": True, "align_with": "b"},
    ],
)
def test_settings_that_do_not_fit(settings: dict) -> None:
    with pytest.raises(UserError):
        FeatureSettings(**settings)


def test_hidden_states_of_a_ctc_model(tmp_path: Path) -> None:
    import transformers

    folder = make_ctc(tmp_path / "ctc")
    own = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    wave = samples()
    norm = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    with torch.no_grad():
        states = own(torch.from_numpy(norm)[None], output_hidden_states=True).hidden_states
    for layer in (1, 2):
        settings = FeatureSettings(am=(str(folder),), method="deep", layer=layer, level="frame")
        pipeline = FeaturePipeline.create(settings, None)
        found = pipeline.extract(wave, WORDS)
        np.testing.assert_allclose(found.features, states[layer][0].numpy(), atol=1e-4)
        phones = FeaturePipeline(replace(settings, level="phone"), pipeline.models)
        assert phones.extract(wave, WORDS).features.shape == (5, 16)
    assert pipeline.config()["frame_shift"] == 0.005
    with pytest.raises(UserError, match="no hidden layer 3"):
        FeaturePipeline.create(replace(settings, layer=3), None)


def test_hidden_states_of_a_torchaudio_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchaudio import pipelines
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(0)
    layers = [(8, 10, 5), (8, 8, 64)]
    made = wav2vec2_model(
        "layer_norm", layers, True, 16, 0.0, 4, 2, 2, 2, 0.0, 32, 0.0, 0.0, True, 0.0, 40
    ).eval()
    bundle = pipelines.WAV2VEC2_ASR_BASE_960H
    monkeypatch.setattr(type(bundle), "get_labels", lambda self: ("-", *ARPABET))
    monkeypatch.setattr(type(bundle), "get_model", lambda self: made)
    spec = "torchaudio:WAV2VEC2_ASR_BASE_960H"
    with torch.no_grad():
        states, _ = made.extract_features(torch.from_numpy(samples())[None])
    model = load_model(spec, hidden=1)
    assert (model.hidden_layer, model.hidden_width) == (1, 16)
    torch.testing.assert_close(model.evidence(samples()).hidden, states[0][0])
    last = load_model(spec, hidden=True)
    torch.testing.assert_close(last.evidence(samples()).hidden, states[1][0])
    assert load_model(spec).evidence(samples()).hidden is None


def test_an_encoder_that_knows_no_phones(tmp_path: Path) -> None:
    """The bare network of a CTC model has the same hidden states; sphinx finds the phones."""
    import transformers

    full = make_ctc(tmp_path / "ctc")
    bare = tmp_path / "bare"
    transformers.AutoModelForCTC.from_pretrained(full).wav2vec2.save_pretrained(bare)
    shutil.copy(full / "preprocessor_config.json", bare)
    settings = FeatureSettings((str(bare),), "deep", align_with="sphinx", layer=2, level="frame")
    pipeline = FeaturePipeline.create(settings, None)
    found = pipeline.extract(samples(), WORDS)
    hidden = load_model(str(full), hidden=2).evidence(samples()).hidden
    assert hidden is not None
    np.testing.assert_allclose(found.features, hidden.numpy(), atol=1e-5)
    assert len(found.rows) == 5 and max(row.gop for row in found.rows) <= 0
    assert FeaturePipeline.from_config(pipeline.config(), None).columns == pipeline.columns
    with pytest.raises(UserError, match=r"vocab\.json cannot be read"):
        FeaturePipeline.create(replace(settings, align_with=""), None)
    with pytest.raises(UserError, match="no bundle 'WAV2VEC2_BAS'"):
        load_model("torchaudio:WAV2VEC2_BAS", phones=False)
