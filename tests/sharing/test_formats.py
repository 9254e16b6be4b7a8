"""export --format: folders that transformers and Asteroid load, with the same outputs."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import transformers
from emotion_models import CLASSES, sound, write_encoder_model
from foreign_models import ASTEROID, PARITY, unpack, write_asteroid, write_speechbrain
from hub_cache import cached_folder
from separation_models import NETWORK, make_model
from tiny_encoders import hugging_face

import speechkit
from speechkit.emotion.predict import load_predictor
from speechkit.separation import model_folder, to_asteroid
from speechkit.separation.foreign import load_asteroid, load_foreign
from speechkit.sharing.config import FORMATS as CHOICES
from speechkit.sharing.formats import FORMATS

DOCS = Path(__file__).parents[2] / "docs"


def said(text: str) -> str:
    return " ".join(text.split())


def examples(form: str) -> list[str]:
    """The arguments of the page's command of a format."""
    page = (DOCS / "stages" / "export-import.md").read_text("utf-8")
    (line,) = [x for x in page.splitlines() if x.startswith("speechkit export") and form in x]
    return shlex.split(line, comments=True)[1:]


def test_the_flag_offers_what_is_there() -> None:
    assert ("zip", *FORMATS) == CHOICES


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("wav2vec2-layer", {}),
        ("hubert-group", {"layers": "weighted"}),
        ("wavlm-layer", {"layers": "weighted"}),
        ("data2vec-audio", {"layers": "1"}),
        ("wav2vec2-layer", {"frozen": True}),
    ],
)
def test_emotion_models_go_to_transformers_and_back(
    family: str, settings: dict, run, tmp_path: Path
) -> None:
    folder = write_encoder_model(tmp_path, "hubert", family=family, head="linear", **settings)
    ran = run(*examples("--format hf"), "-C", tmp_path, "--seed", 0, tmp_path / "out")
    assert ran.code == 0, ran.err
    kind, told = transformers.AutoModelForAudioClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert list(kind.config.id2label.values()) == list(CLASSES)
    ours, again = load_predictor(folder), load_predictor(tmp_path / "out")
    assert again.classes == CLASSES and again.sample_rate == 16000
    for seed in range(2):
        wave = sound(0.6, seed=seed)
        (wanted,) = ours.probabilities([wave])
        np.testing.assert_allclose(hugging_face(tmp_path / "out", wave), wanted, atol=1e-5)
        np.testing.assert_allclose(again.probabilities([wave])[0], wanted, atol=1e-5)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "library_name: transformers" in card and "pipeline(" in card


def test_emotion_models_that_transformers_has_not(run, tmp_path: Path) -> None:
    write_encoder_model(tmp_path, "tanh")
    write_encoder_model(tmp_path, "max", head="linear", pooling="max")
    write_encoder_model(tmp_path, "cut", head="linear", layers="1")
    for fold in range(2):
        write_encoder_model(tmp_path, "folds", fold=fold, head="linear")
    make_model(tmp_path, "dm")
    for name, message in (
        ("tanh", "has not a head with a tanh behind the pooling. Train the model with --head lin"),
        ("max", "has not the pooling 'max'. Train the model with --pooling mean"),
        ("cut", "cut off before its last normalisation. Train the model with --layers last"),
        ("folds", "has 2 models (folds and seeds)"),
        ("dm", "hf is for models of emotion"),
    ):
        ran = run("export", name, "-C", tmp_path, tmp_path / "out", "--format", "hf")
        assert ran.code == 2 and message in said(ran.err), ran.err
        assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    write_encoder_model(tmp_path, "good", head="linear")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    again = ("export", "good", "-C", tmp_path, tmp_path / "out", "--format", "hf", "--force")
    for command, message in (
        (again[:-1], "exists. Replace it with --force"),
        (again, "holds 'thesis.tex', which no export wrote"),
        ((*again, "--push-to-hub", "a/b"), "hf upload OWNER/NAME FOLDER"),
        ((*again[:6], "onnx"), "'onnx'"),
    ):
        ran = run(*command)
        assert ran.code == 2 and message in said(ran.err), ran.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    (tmp_path / "out" / "thesis.tex").unlink()
    assert run(*again).code == 0 and run(*again).code == 0
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize("name", ASTEROID)
def test_a_model_of_asteroid_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    """Names, shapes and settings are those that Asteroid itself wrote."""
    config, weights, rate = load_asteroid(write_asteroid(tmp_path / "a.pth", name))
    folder = tmp_path / "seed0"
    folder.mkdir()
    model_folder.write(
        folder, config, rate, "plain", {}, {"plain": weights, "weighted": weights}, []
    )
    to_asteroid.write(folder, tmp_path / "out")
    saved = torch.load(tmp_path / "out" / to_asteroid.WEIGHTS, weights_only=True)
    stored = np.load(PARITY / f"{name}.npz")
    wanted = unpack(stored)
    assert list(saved["state_dict"].keys() - wanted.keys()) == []
    for key, value in wanted.items():
        torch.testing.assert_close(saved["state_dict"][key], value, rtol=0, atol=0)
    told = json.loads(str(stored["config"]))
    assert saved["model_name"] == told["model_name"]
    assert saved["model_args"] == told["model_args"]


@pytest.mark.parametrize(
    "changed",
    [{}, {"skip": 0, "encoder_relu": True, "mask": "softmax", "speakers": 3},
     {"causal": True, "norm": "cLN"}, {"causal": True, "norm": "chLN", "stride": 4}],
    ids=["gLN", "no-skip", "causal", "hop"],
)  # fmt: skip
def test_asteroid_gives_the_same_estimates(changed: dict, run, tmp_path: Path) -> None:
    make_model(tmp_path, "dm", network=replace(NETWORK, **changed))
    ran = run(*examples("--format asteroid"), "-C", tmp_path, tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["for"] == "asteroid"
    file = tmp_path / "out" / to_asteroid.WEIGHTS
    mixture = torch.from_numpy(sound(0.5, 8000))[None]
    net = model_folder.find_separator(speechkit.workdir.WorkDir(tmp_path), "dm").net
    config, weights, rate = load_foreign(tmp_path / "out")
    assert rate == 8000 and config == replace(net.config, stride=config.stride)
    with torch.no_grad():
        wanted = net(mixture)
        net.load_state_dict(weights)
        assert torch.equal(net(mixture), wanted)
    models = pytest.importorskip("asteroid.models", reason="Asteroid is not installed")
    theirs = models.ConvTasNet.from_pretrained(str(file)).eval()
    assert theirs.sample_rate == 8000
    with torch.no_grad():
        torch.testing.assert_close(theirs(mixture), wanted, rtol=1e-5, atol=1e-5)
    torch.save(theirs.serialize(), tmp_path / "again.pth")
    _, back, _ = load_asteroid(tmp_path / "again.pth")
    assert all(torch.equal(back[key], value) for key, value in weights.items())


def test_networks_that_asteroid_has_not(run, tmp_path: Path) -> None:
    make_model(tmp_path, "reflect", network=replace(NETWORK, padding="reflect"))
    make_model(tmp_path, "norms", network=replace(NETWORK, input_norm="chLN"))
    write_encoder_model(tmp_path, "e")
    for name, message in (
        ("reflect", "reflect --padding"),
        ("norms", "--input-norm that is not --norm"),
        ("e", "asteroid is for models of separation"),
    ):
        ran = run("export", name, "-C", tmp_path, tmp_path / "out", "--format", "asteroid")
        assert ran.code == 2 and message in said(ran.err), ran.err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("toolkit", ["asteroid", "speechbrain"])
def test_separation_takes_models_of_others_from_the_hub(
    toolkit: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of files that the hub has: pytorch_model.bin, or hyperparams.yaml and .ckpt."""
    page = (DOCS / "stages" / "predict-separation.md").read_text("utf-8")
    (line,) = [x for x in page.splitlines() if x.startswith("speechkit predict") and "hf:" in x]
    arguments = shlex.split(line, comments=True)[1:]
    name = arguments[-1].removeprefix("hf:")
    folder = cached_folder(tmp_path / "hub", name, monkeypatch)
    folder.mkdir(parents=True)
    if toolkit == "asteroid":
        write_asteroid(folder / "pytorch_model.bin")
    else:
        write_speechbrain(folder)
    mixture = sound(1.2, 8000)
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", mixture, 8000, "FLOAT")
    for model, out in ((arguments[-1], "a"), (folder, "b")):
        ran = run(*arguments[:-1], model, "--out", out)
        assert ran.code == 0, ran.err
    written = [Path(out, f"talk_s{k}.wav") for k in (1, 2) for out in "ab"]
    assert written[0].read_bytes() == written[1].read_bytes() != written[2].read_bytes()
    found = speechkit.load("separation", arguments[-1]).separate(mixture, 8000)
    config, weights, _ = load_foreign(folder)
    net = model_folder.ConvTasNet(config).eval()
    net.load_state_dict(weights)
    with torch.no_grad():
        plain = net(torch.from_numpy(mixture)[None])[0].numpy()
    gain = np.vdot(found, plain) / np.vdot(plain, plain)  # one for all sources
    np.testing.assert_allclose(found, gain * plain, atol=1e-5)
