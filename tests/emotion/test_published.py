"""Audio-classification models as the hub has them, and ours as transformers loads them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import transformers
from emotion_models import sound
from hub_cache import cached_folder
from tiny_encoders import FAMILIES, hugging_face, make_classifier, make_encoder

import speechkit
from speechkit.base.errors import UserError
from speechkit.emotion.predict import load_predictor
from speechkit.training.weights import read_weights

LABELS = ("neu", "hap", "ang", "sad")


@pytest.mark.parametrize("weighted", [False, True], ids=["last", "weighted"])
@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_are_those_of_transformers(
    family: str, weighted: bool, tmp_path: Path
) -> None:
    folder = make_classifier(tmp_path / "m", family, LABELS, weighted)
    predictor = load_predictor(folder)
    assert predictor.classes == LABELS and predictor.sample_rate == 16000
    waves = [sound(0.9), sound(0.4, seed=1), sound(0.7, seed=2)]
    found = predictor.probabilities(waves)
    for one, wave in zip(found, waves, strict=True):
        np.testing.assert_allclose(one, hugging_face(folder, wave), atol=1e-5)
    assert found.std(0).max() > 1e-4 and found.max() < 0.99  # it hears the recordings


def test_summed_layers_are_those_of_the_version_that_trained_them(tmp_path: Path) -> None:
    """Up to transformers 4 the last one comes after the final norm, from 5 on before it."""
    folder = make_classifier(tmp_path / "m", "wav2vec2-layer", LABELS, True)
    wave, path = sound(0.8), folder / "config.json"
    config = json.loads(path.read_text())
    found = {}
    for version in ("4.40.0", "5.3.0"):
        path.write_text(json.dumps({**config, "transformers_version": version}))
        found[version] = load_predictor(folder).probabilities([wave])[0]
        tied = version.startswith("4")
        path.write_text(json.dumps({**config, "tie_last_hidden_states": tied}))
        if tied or int(transformers.__version__.split(".")[0]) > 4:  # 4 knows no other way
            np.testing.assert_allclose(found[version], hugging_face(folder, wave), atol=1e-5)
        np.testing.assert_array_equal(
            load_predictor(folder).probabilities([wave])[0], found[version]
        )
    assert np.abs(found["4.40.0"] - found["5.3.0"]).max() > 1e-3


def test_the_dense_head_is_that_of_its_formula(tmp_path: Path) -> None:
    """``out_proj(tanh(dense(pool(x))))``, which transformers has no class for."""
    generator = torch.Generator().manual_seed(3)
    shapes = {"dense.weight": (16, 16), "dense.bias": (16,),
              "out_proj.weight": (3, 16), "out_proj.bias": (3,)}  # fmt: skip
    head = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    wave = sound(0.8)
    for pooling in ("mean", "max", "sum"):
        folder = make_encoder(tmp_path / pooling, "wav2vec2-layer")
        encoder = transformers.AutoModel.from_pretrained(folder).eval()
        config = json.loads((folder / "config.json").read_text())
        config.update(id2label={"0": "a", "1": "b", "2": "c"}, pooling_mode=pooling,
                      label2id={"a": 0, "b": 1, "c": 2},
                      architectures=["Wav2Vec2ForSpeechClassification"])  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        weights = read_weights(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save({**weights, **{f"classifier.{k}": v for k, v in head.items()}},
                   folder / "pytorch_model.bin")  # fmt: skip
        values = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        with torch.no_grad():
            frames = encoder(torch.from_numpy(values)[None]).last_hidden_state[0]
        pooled = {"mean": frames.mean(0), "max": frames.amax(0), "sum": frames.sum(0)}[pooling]
        hidden = torch.tanh(head["dense.weight"] @ pooled + head["dense.bias"])
        wanted = (head["out_proj.weight"] @ hidden + head["out_proj.bias"]).softmax(0)
        found = load_predictor(folder).probabilities([wave])[0]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_predict_takes_a_folder_and_the_cache_of_the_hub(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = cached_folder(tmp_path / "hub", "superb/wav2vec2-base-superb-er", monkeypatch)
    folder = make_classifier(cached, "hubert-layer", LABELS, True)
    front = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**front, "sampling_rate": 8000}))
    wave = sound(1.0, 8000)
    soundfile.write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    rows = []
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "stages" / "predict-emotion.md"
    (line,) = re.findall(r"^speechkit (predict.*? hf:\S+)", page.read_text("utf-8"), re.MULTILINE)
    for command in (line.split(), ["predict", "emotion", "a.wav", "--model", folder]):
        ran = run(*command, "--json")
        assert ran.code == 0, ran.err
        rows += json.loads(ran.out)
    assert rows[0] == rows[1]
    wanted = hugging_face(folder, wave)
    np.testing.assert_allclose([rows[0]["probabilities"][x] for x in LABELS], wanted, atol=2e-6)
    loaded = speechkit.load("emotion", line.split()[-1]).emotions(wave, 8000)
    assert loaded.label == rows[0]["label"] == LABELS[int(wanted.argmax())]
    missing = run("predict", "emotion", tmp_path / "a.wav", "--model", "hf:me/none")
    assert missing.code == 2 and "hf download me/none" in missing.err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"problem_type": "regression"}, "a model of regression"),
        ({"id2label": {"0": "x", "1": "x", "2": "y", "3": "z"}}, "`id2label` has x, x"),
        ({"id2label": {"1": "x", "2": "y"}}, "does not number labels from 0"),
        ({"id2label": {"0": "x", "1": "y"}}, "'head.1.bias' has the shape"),
        ({"model_type": "audio-spectrogram-transformer"}, "of the family 'audio-spec"),
        ({"model_type": None}, "of the family 'None'"),
    ],
)
def test_settings_that_are_refused(changed: dict, message: str, run, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "m", "wav2vec2-group", LABELS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "label2id": {}, **changed}))
    soundfile.write(tmp_path / "a.wav", sound(1.0), 16000)
    ran = run("predict", "emotion", tmp_path / "a.wav", "--model", folder)
    assert ran.code == 2 and message in " ".join(ran.err.split())


def test_what_is_no_classifier(run, tmp_path: Path) -> None:
    ctc = make_encoder(tmp_path / "ctc", "wav2vec2-group")
    with pytest.raises(UserError, match="is an encoder without a classifier"):
        load_predictor(ctc)
    soundfile.write(tmp_path / "a.wav", sound(1.0), 16000)
    ran = run("predict", "pronunciation", tmp_path / "a.wav", "--text", "a", "--model", ctc)
    assert ran.code == 2 and "vocab.json" in ran.err  # it hears no phones
    folder = make_classifier(tmp_path / "m", "wav2vec2-group", LABELS)
    weights = read_weights(folder / "model.safetensors")
    del weights["projector.bias"]
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"has no 'projector\.bias'"):
        load_predictor(folder)
    torch.save({**weights, "x": Path("run")}, folder / "pytorch_model.bin")  # an object
    with pytest.raises(UserError, match="holds other things than weights"):
        load_predictor(folder)
