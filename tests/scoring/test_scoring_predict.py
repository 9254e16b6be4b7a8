"""predict scoring: recordings and texts in, scores of several kinds of models out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from scoring_models import write_scorers
from tone_models import RATE, ToneModel, say

import speechkit
from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig
from speechkit.base.errors import UserError
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.settings import FeatureSettings
from speechkit.scoring import joint_network, model_folder, trees
from speechkit.scoring.data import Inputs, single
from speechkit.workdir import WorkDir

CAT_BEE = ["K", "AA", "T", "B", "IY"]
WORDS = [[("K", "AA", "T")], [("B", "IY")]]
SHAPE = TdnnConfig(40, (12, 12), (5, 3), (1, 2), 21, 0.0)  # SIL and six phones, 3 states each


@pytest.fixture
def work(tmp_path):
    (tmp_path / "lexicon.txt").write_text("CAT K AA T\nBEE B IY\n")
    soundfile.write(tmp_path / "good.wav", say(CAT_BEE), RATE, subtype="FLOAT")
    return tmp_path


@pytest.fixture
def tones(monkeypatch):
    """Every acoustic model hears tones; gives the pipeline of its features."""
    from speechkit.acoustic import models

    monkeypatch.setattr(models, "load_model", lambda spec, *_, **__: ToneModel())
    return FeaturePipeline(FeatureSettings(am=("tones",)), [ToneModel()])


def score(run, work, *arguments):
    return run("predict", "scoring", "-C", work, "--model", "tiny", "--device", "cpu",
               "--lexicon", work / "lexicon.txt", *arguments)  # fmt: skip


def test_samples_score_as_their_file(run, work, tones):
    write_scorers(work, tones.config(), len(tones.columns))
    done = score(run, work, work / "good.wav", "--text", "cat bee", "--json")
    scorer = speechkit.load("scoring", "tiny", workdir=work, lexicon=str(work / "lexicon.txt"))
    samples = np.stack([say(CAT_BEE)] * 2)
    for _ in range(2):
        found = scorer.score(samples, RATE, "cat bee", name=str(work / "good.wav"))
        assert {"model": "tiny", **found.as_dict()} == json.loads(done.out)[0]
    with pytest.raises(UserError, match="no scoring model 'default'"):
        speechkit.load("scoring", workdir=work)


def test_words_in_other_formats(run, work, tones):
    write_scorers(work, tones.config(), len(tones.columns))
    base = (work / "good.wav", "--text", "cat bee", "--json")
    for name in ("s.csv", "s.ctm", "s.TextGrid"):
        done = score(run, work, *base, "--save", work / name)
        assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    header, line = (work / "s.csv").read_text().splitlines()
    assert line.split(",")[header.split(",").index("score")] == str(found["score"])
    words = [line.split() for line in (work / "s.ctm").read_text().splitlines()]
    assert [(float(line[2]), line[4]) for line in words] == [
        (word["start"], word["word"]) for word in found["words"]
    ]
    assert f'text = "{found["score"]:g}"' in (work / "s.TextGrid").read_text()


def by_hand(folders, pipeline, inputs):
    """Points of each seed, from the features of the recording."""
    extracted = pipeline.extract(say(CAT_BEE), WORDS)
    one = single(extracted.features, extracted.rows, inputs, pipeline.config())
    return [1 + 4 * model_folder.read_model(folder).predict(one)[0] for folder in folders]


def test_the_score_is_the_mean_of_the_seeds_on_its_scale(run, work, tones):
    folder = write_scorers(work, tones.config(), len(tones.columns))
    done = score(run, work, work / "good.wav", "--text", "Cat, bee!", "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    seeds = by_hand(sorted(folder.iterdir()), tones, Inputs("gop-vector"))
    assert abs(seeds[0] - seeds[1]) > 0.01
    assert found["score"] == pytest.approx(np.mean(seeds), abs=1e-3)
    assert found["spread_over_seeds"] == pytest.approx(np.std(seeds, ddof=1), abs=1e-3)
    assert list(found["seeds"].values()) == pytest.approx(seeds, abs=1e-3)
    assert (found["target"], found["scale"], found["matches"]) == ("total", [1, 5], True)
    assert [word["word"] for word in found["words"]] == ["CAT", "BEE"]
    assert found["words"][0]["start"] == pytest.approx(0.1, abs=0.02)
    table = score(run, work, work / "good.wav", "--text", "cat bee")
    assert "total, from 1 to 5" in table.out and f"{np.mean(seeds):.1f} ±" in table.out


def test_readings_are_named(run, work, tones):
    write_scorers(work, tones.config(), len(tones.columns))
    numbers = "ONE K AA\nA IY\nHUNDRED S IY\nAND T S\nFOUR B AA\nZERO T IY\nOH S\n"
    (work / "lexicon.txt").write_text(numbers)
    soundfile.write(work / "oh.wav", say(["K", "AA", "S", "B", "AA"]), RATE, subtype="FLOAT")
    results = [score(run, work, work / "oh.wav", "--text", text, "--json")
               for text in ("104", "one oh four")]  # fmt: skip
    read, told = (json.loads(done.out)[0] for done in results)
    assert read["readings"][0]["said"] == "one oh four" and read["readings"][0]["words"] == [0, 2]
    same = ("score", "words", "seeds", "confidence")
    assert [read[key] for key in same] == [told[key] for key in same] and "readings" not in told
    table = score(run, work, work / "oh.wav", "--text", "104")
    assert "104 read as one oh four" in table.out
    done = score(run, work, work / "oh.wav", "--text", "104", "--readings", "error")
    assert done.code == 2 and "one oh four" in done.err


def test_trees_read_the_scalar_gop(run, work, tones):
    folder = write_scorers(work, tones.config(), 1, input="gop", model="trees", seeds=[0])
    draw = np.random.default_rng(0)
    card = model_folder.read_card(folder / "seed0")
    model_folder.write(folder / "seed0", {**card, "network": {}}, [])
    extracted = tones.extract(say(CAT_BEE), WORDS)
    one = single(extracted.features, extracted.rows, Inputs("gop"), tones.config())
    many = [one.gop + draw.normal(size=5).astype(np.float32) for _ in range(40)]
    found = replace(
        one,
        utterances=[str(k) for k in range(40)],
        gop=np.concatenate(many),
        phones=one.phones * 40,
        words=np.concatenate([one.words + 2 * k for k in range(40)]),
        first=np.arange(0, 201, 5),
        labels=np.array([gop.mean() for gop in many], np.float32).clip(-9, 0) / 9 + 1,
    )
    model = trees.fit(found, 0, trees.TreeConfig(trees=20, leaf_samples=3))
    model.save(folder / "seed0")
    done = score(run, work, work / "good.wav", "--text", "cat bee", "--json")
    assert done.code == 0, done.err
    value = 1 + 4 * model.predict(one)[0]
    assert json.loads(done.out)[0]["score"] == pytest.approx(value, abs=1e-3)
    assert json.loads(done.out)[0]["spread_over_seeds"] == 0


def write_tdnn(folder, seed, folds=0):
    """An acoustic model with random weights, of all speakers and of folds of them."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network = Tdnn(SHAPE).eval()
    card = tdnn_folder.Card(ToneModel().labels, FeatureConfig(), SHAPE, "mean" if folds else "full")
    states = {"full": tdnn_folder.half(network.state_dict())}
    for fold in range(folds):
        states[f"fold{fold}"] = tdnn_folder.half(Tdnn(SHAPE).eval().state_dict())
    return tdnn_folder.write(folder, card, states, {f"s{n}": n for n in range(folds)})


def test_deep_features_of_the_shared_and_of_an_own_acoustic_model(run, work):
    """Two seeds, one of which has an acoustic network of its own."""
    card = write_tdnn(work / "exp/acoustic/am", 0)
    place = WorkDir(work)
    pipeline = FeaturePipeline.create(FeatureSettings(("am",), "deep"), place)
    config = {**pipeline.config(), "level": "frame"}  # the same fingerprint
    folder = write_scorers(work, config, 12, input="deep")
    torch.manual_seed(7)
    own = tdnn_folder.half(Tdnn(SHAPE).eval().state_dict())
    joint_network.write(folder / "seed1", own, card, "am")
    done = score(run, work, work / "good.wav", "--text", "cat bee", "--json")
    assert done.code == 0, done.err
    found = list(json.loads(done.out)[0]["seeds"].values())
    (shared,) = by_hand([folder / "seed0"], pipeline, Inputs())
    updated = joint_network.pipeline(config, folder / "seed1", place)
    (other,) = by_hand([folder / "seed1"], updated, Inputs())
    assert found == pytest.approx([shared, other], abs=1e-3)
    (before,) = by_hand([folder / "seed1"], pipeline, Inputs())
    assert abs(before - other) > 1e-3


@pytest.mark.parametrize("folds", [0, 2])
def test_a_model_travels_with_its_acoustic_models(run, work, tmp_path, folds):
    card = write_tdnn(work / "exp/acoustic/am", 0, folds)
    pipeline = FeaturePipeline.create(FeatureSettings(("am",), "deep"), WorkDir(work))
    folder = write_scorers(work, pipeline.config(), 12, input="deep")
    torch.manual_seed(7)
    own = tdnn_folder.half(Tdnn(SHAPE).eval().state_dict())
    joint_network.write(folder / "seed1", own, card, "am")
    before = score(run, work, work / "good.wav", "--text", "cat bee", "--json")
    file = tmp_path / "tiny.zip"
    done = run("export", "scoring/tiny", "-C", work, file)
    assert done.code == 0, done.err
    assert done.out.split()[-3:-1] == ["2", "│"]  # seeds, no acoustic models
    there = tmp_path / "elsewhere"
    done = run("import", file, "-C", there)
    assert done.code == 0, done.err
    done = run("predict", "scoring", "-C", there, "--model", "tiny", work / "good.wav", "--text",
               "cat bee", "--lexicon", work / "lexicon.txt", "--json")  # fmt: skip
    assert done.code == 0, done.err
    pair = [list(json.loads(one.out)[0]["seeds"].values()) for one in (before, done)]
    assert pair[1] == pytest.approx(pair[0], abs=5e-3)


def test_bad_input(run, work, tones, monkeypatch):
    write_scorers(work, tones.config(), len(tones.columns))
    soundfile.write(work / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(work / "short.wav", say(CAT_BEE)[:2400], RATE)
    good = work / "good.wav"
    for arguments, said in (
        ([good], "No text is given"),
        ([good, "--text", " "], "No text is given"),
        ([good, "--text", "?!"], "good.wav"),
        ([work / "silent.wav", "--text", "cat"], "silent"),
        ([work / "short.wav", "--text", "cat bee cat bee"], "short.wav"),
        ([work / "none.wav", "--text", "cat"], "none.wav"),
        ([good, "--text", "cat", "--model", "tinny"], "Did you mean 'tiny'"),
        ([good, "--text", "cat", "--lexicon", work / "none.txt"], "none.txt"),
    ):
        done = score(run, work, *arguments)
        assert done.code == 2 and said in done.err, (arguments, done.err)
    with monkeypatch.context() as stricter:
        stricter.setattr("speechkit.acoustic.align.alignment.MATCHES", 1.1)
        done = score(run, work, good, "--text", "cat bee", "--json")
    assert "probably not what is said" in done.err and not json.loads(done.out)[0]["matches"]
    (work / "trans.tsv").write_text("path\ttext\ngood.wav\tcat bee\nsilent.wav\tcat\n")
    done = score(run, work, "--trans", work / "trans.tsv", "--on-error", "skip", "--json")
    assert len(json.loads(done.out)) == 1 and "skipped" in done.err


def test_features_of_another_acoustic_model_are_refused(run, work, tones):
    config = {**tones.config(), "fingerprint": "other"}
    write_scorers(work, config, len(tones.columns))
    done = score(run, work, work / "good.wav", "--text", "cat")
    assert done.code == 2 and "other acoustic models" in done.err


def test_prediction_imports_little():
    code = (
        "import sys; from speechkit.scoring import predict; "
        "print([m for m in ('lightning', 'pandas', 'scipy', 'sklearn', 'speechbrain', "
        "'matplotlib', 'torchaudio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
