"""The whole chain on tiny encoders: train, take up, evaluate, predict, export, import."""

import json
import re

import numpy as np
import pytest
import soundfile
from emotion_models import sound
from tiny_encoders import make_encoder

from speechkit.kaldi import data

EMOTIONS = ("neutral", "sad", "angry")
FAMILIES = ("hubert-layer", "wavlm-group", "wav2vec2-layer", "data2vec-audio")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """6 speakers x 6 clips in a set, a split of two folds, and encoders of four families."""
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("chain")
    folder = root / "data" / "set"
    (folder / "wav").mkdir(parents=True)
    wavs, speakers, labels = {}, {}, {}
    for k in range(36):
        name = f"s{k // 6}-{k % 6}"
        wave = sound(0.3 + 0.02 * (k % 6), seed=k) * (1 + k % 3)
        soundfile.write(folder / "wav" / f"{name}.wav", 0.3 * wave, 16000)
        wavs[name], speakers[name] = f"data/set/wav/{name}.wav", f"s{k // 6}"
        labels[name] = EMOTIONS[k % 3]
    data.write(folder, wavs, speakers, utt2emotion=labels)
    for family in FAMILIES:
        make_encoder(root / family, family)
    assert main(["split-folds", "-C", str(root), "--set", "set", "--fold-size", "3",
                 "--valid-speakers", "1", "-j", "1"]) == 0  # fmt: skip
    return root


def train(run, place, family, *more):
    return run("train", "emotion", "-C", place, "--set", "set", "--upstream", place / family,
               "-j", 1, "--epochs", 2, "--device", "cpu", *more)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_all_the_way(place, run, family, tmp_path):
    more = ("--preset", "paper", "--evaluate-every", 2, "--folds", 0)
    trained = train(run, place, family, "--name", family, *more)
    assert trained.code == 0, trained.err
    again = train(run, place, family, "--name", family, *more)
    assert again.code == 0 and "up to date" in again.err
    measured = run("evaluate", "emotion", "-C", place, "--name", family, "-j", 1, "--json")
    assert measured.code == 0, measured.err
    summary = json.loads((place / "exp/emotion" / family / "eval/folds/summary.json").read_text())
    assert 0 <= summary["accuracy"]["mean"] <= 1 and summary["accuracy"]["n"] == 1
    clip = place / "data/set/wav/s0-0.wav"
    heard = run("predict", "emotion", clip, "--model", family, "-C", place, "--json")
    assert heard.code == 0, heard.err
    assert sum(json.loads(heard.out)[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert run("export", family, tmp_path / "m.zip", "-C", place).code == 0
    assert run("import", tmp_path / "m.zip", "-C", tmp_path).code == 0
    there = run("predict", "emotion", clip, "--model", family, "-C", tmp_path, "--json")
    first, second = (json.loads(r.out)[0]["probabilities"] for r in (heard, there))
    assert np.allclose(list(first.values()), list(second.values()), atol=1e-5)


def test_a_frozen_encoder_is_run_once_for_all_folds_and_seeds(place, run, monkeypatch, tmp_path):
    from speechkit.emotion import encoders

    forward, calls = encoders.Encoder.forward, []
    monkeypatch.setattr(
        encoders.Encoder, "forward", lambda *a, **b: calls.append(1) or forward(*a, **b)
    )
    ran = train(run, place, "hubert-layer", "--name", "head", "--preset", "frozen", "--seeds", 2,
                "--layers", "weighted", "--curves", tmp_path)  # fmt: skip
    assert ran.code == 0, ran.err
    once = len(calls)
    assert 0 < once <= 4
    shown = {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("events*")}
    assert shown == {f"emotion/head/fold{f}/seed{s}" for f in range(2) for s in range(2)}
    assert run("evaluate", "emotion", "-C", place, "--name", "head", "-j", 1).code == 0
    assert len(calls) == once
    assert (place / "exp/hidden/set-hubert-layer-all/manifest.json").is_file()


@pytest.mark.parametrize("preset", ["default", "frozen"])
def test_broken_clips_stop_or_are_left_out(place, run, tmp_path, preset):
    import shutil

    for name in ("data", "hubert-layer"):
        shutil.copytree(place / name, tmp_path / name)
    wav = tmp_path / "data/set/wav"
    soundfile.write(wav / "s5-5.wav", np.zeros(4000), 16000)
    soundfile.write(wav / "s2-2.wav", sound(0.01), 16000)
    base = ("--name", "m", "--preset", preset)
    ran = train(run, tmp_path, "hubert-layer", *base)
    assert ran.code == 2 and ("silent" in ran.err or "short" in ran.err), ran.err
    assert "error: s5-5:" in ran.err or "error: s2-2:" in ran.err  # not another of its batch
    ran = train(run, tmp_path, "hubert-layer", *base, "--on-error", "skip")
    assert ran.code == 0, ran.err
    measured = run("evaluate", "emotion", "-C", tmp_path, "--name", "m", "-j", 1)
    assert measured.code == 2 and ("s5-5" in measured.err or "s2-2" in measured.err)
    measured = run("evaluate", "emotion", "-C", tmp_path, "--name", "m", "-j", 1, "--on-error",
                   "skip")  # fmt: skip
    assert measured.code == 0, measured.err


def test_the_papers_four_are_one_json_document(run, monkeypatch):
    from speechkit.emotion import train as training

    monkeypatch.setattr(training, "train", lambda workdir, job, *_, **__: job)
    monkeypatch.setattr(training, "summary_rows", lambda job: [[0, 1, 5, 0.5, 0.5, 1.0, job.name]])
    monkeypatch.setattr(training, "title", lambda name, done: name)
    ran = run("train", "emotion", "--upstream", "paper", "--json", "--device", "cpu")
    rows = json.loads(ran.out)
    assert len(rows) == 4 and all(row["model"] == row["folder"] for row in rows)
    assert rows[3]["model"] == "hubert-large-ls960-ft" and rows[0]["seed"] == 1


def test_a_hub_name_without_network_in_the_command(place, run, monkeypatch):
    import huggingface_hub

    def no_network(*arguments, **named):
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_network)
    ran = run("train", "emotion", "-C", place, "--set", "set", "--upstream", "paper",
              "--preset", "paper")  # fmt: skip
    assert ran.code == 2
    assert "hf download facebook/wav2vec2-base-960h --local-dir DIR" in ran.err.replace("\n", " ")


def test_hidden_states_by_a_command_of_their_own(place, run):
    base = ("extract-hidden", "-C", place, "--set", "set", "--upstream", place / "wavlm-group")
    ran = run(*base, "--pooling", "max", "--json", "-j", 2)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["clips"] == 36 and told["shape"][1] == 16
    values = np.load(place / "exp/hidden/set-wavlm-group-frames/hidden.npy")
    assert told["megabytes"] == pytest.approx(values.nbytes / 1e6, rel=0.01)
    assert list(values.shape) == told["shape"] and np.isfinite(values).all()
    assert run(*base, "--layers", "9").code == 2
    assert run(*base, "--layers", "²").code == 2
    assert run(*base, "--pooling", "median").code == 2


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_an_encoder_that_fails_is_not_the_fault_of_a_clip(place, run, tmp_path, on_error):
    folder = make_encoder(tmp_path / "broken", "hubert-layer")
    (folder / "model.safetensors").write_bytes(b"no weights")
    flags = ("--upstream", folder, "-j", 1, "--on-error", on_error, "-C", place)
    done = run("extract-hidden", "--set", "set", *flags)
    assert done.code == 2 and "cannot be loaded" in done.err
    assert not re.search(r"s[0-9]-[0-9]", done.err), done.err
