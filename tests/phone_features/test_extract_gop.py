"""The stage ``extract-gop`` and its command."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
from tone_models import RATE, ToneModel, say
from tone_sets import make_tone_set, posterior_set

from speechkit.acoustic.config import TextConfig
from speechkit.base.errors import UserError
from speechkit.phone_features import extract as extraction_stage
from speechkit.phone_features.extract import extract
from speechkit.phone_features.feature_folder import read_confidence, read_features
from speechkit.phone_features.pipeline import FeaturePipeline, load_pipeline
from speechkit.phone_features.request import Request
from speechkit.phone_features.settings import FeatureSettings
from speechkit.workdir import WorkDir

TONES = FeatureSettings(am=("tones",))


@pytest.fixture
def tones(monkeypatch, tmp_path):
    """A working directory with a set of tone speech, and a model that hears tones."""
    make_tone_set(tmp_path)
    made = []

    def load(spec, workdir=None, device="cpu"):
        made.append(ToneModel(spec))
        return made[-1]

    monkeypatch.setattr("speechkit.acoustic.models.load_model", load)
    monkeypatch.setattr(extraction_stage, "_model_files", lambda settings, workdir: [])
    load_pipeline.cache_clear()
    yield WorkDir(tmp_path)
    load_pipeline.cache_clear()


def test_what_is_written(tones):
    folder = read_features(extract(tones, "toned", TONES), tones.root)
    assert list(folder.rows) == ["s0-u0", "s0-u1", "s1-u2", "s1-u3"]
    assert [(r.word, r.word_index, r.phone) for r in folder.rows["s0-u0"]] == [
        ("cat", 0, "K"), ("cat", 0, "AA1"), ("cat", 0, "T"), ("bee", 1, "B"), ("bee", 1, "IY1"),
    ]  # fmt: skip
    maker = FeaturePipeline.from_config(folder.config, tones)
    samples, _ = soundfile.read(tones.root / "data/toned/s0-u1.wav", dtype="float32")
    words = [[("K", "AA1", "T")], [("B", "IY1")]]
    np.testing.assert_array_equal(
        folder.table["s0-u1"], maker.extract_many([Request(samples, words)])[0].features
    )
    summary = json.loads((tones.root / "exp/gop/toned/summary.json").read_text())
    assert summary["utterances"] == 4 and summary["phones"] == 17 and summary["dimension"] == 84
    assert summary["gop_phone_accuracy_pcc"] > 0.9  # the wrong phones have the lowest GOP
    lines = (tones.root / "exp/gop/toned/phones.txt").read_text().splitlines()
    assert lines[:3] == ["am\tlabel\tphone\tid", "tones\tSIL\tSIL\t1", "tones\tAA\tAA\t3"]


def test_up_to_date_and_other_settings(tones):
    folder = extract(tones, "toned", TONES)
    before = (folder / "manifest.json").read_text()
    extract(tones, "toned", TONES)
    assert (folder / "manifest.json").read_text() == before
    with pytest.raises(UserError, match="other parameters"):
        extract(tones, "toned", FeatureSettings(am=("tones",), method="ctc"))
    other = extract(tones, "toned", FeatureSettings(am=("tones",), prosody=True), name="prosody")
    assert other.name == "toned-prosody"
    assert read_features(other).table["s0-u0"].shape == (5, 97)


def test_a_stopped_run_goes_on(tones, monkeypatch):
    whole = extract(tones, "toned", TONES)
    kept = (whole / "gop.ark").read_bytes(), (whole / "rows.tsv").read_text()
    shutil.rmtree(whole)
    monkeypatch.setattr(extraction_stage, "BATCH", 1)
    monkeypatch.setattr(extraction_stage, "PART", 2)
    heard: list[str] = []
    run = FeaturePipeline.extract_many

    def until(last: str):
        def extract_many(self, requests):
            if requests[0].utterance == last:
                raise KeyboardInterrupt
            heard.extend(request.utterance for request in requests)
            return run(self, requests)

        monkeypatch.setattr(FeaturePipeline, "extract_many", extract_many)

    until("s1-u3")
    with pytest.raises(KeyboardInterrupt):
        extract(tones, "toned", TONES)
    assert not whole.exists() and heard == ["s0-u0", "s0-u1", "s1-u2"]
    heard.clear()
    until("")
    extract(tones, "toned", TONES)
    assert heard == ["s1-u2", "s1-u3"]  # the first part was kept
    assert (whole / "gop.ark").read_bytes() == kept[0]
    assert (whole / "rows.tsv").read_text() == kept[1]


def test_broken_utterances_are_skipped_and_listed(tones):
    soundfile.write(tones.root / "data/toned/s0-u1.wav", say([], silence=0.005), RATE)
    (tones.root / "data/toned/s1-u2.wav").unlink()
    with pytest.raises(UserError, match="s0-u1: The audio is too short"):
        extract(tones, "toned", TONES)
    folder = extract(tones, "toned", TONES, on_error="skip")
    assert list(read_features(folder).rows) == ["s0-u0", "s1-u3"]
    skipped = (folder / "skipped.tsv").read_text().splitlines()
    assert [line.partition("\t")[0] for line in skipped] == ["utt", "s0-u1", "s1-u2"]
    assert json.loads((folder / "summary.json").read_text())["skipped"] == 2


def test_text_that_does_not_match_is_reported(tones, monkeypatch):
    # six phones are too few for ranks that say much: the tones need a higher threshold
    monkeypatch.setattr("speechkit.acoustic.align.alignment.MATCHES", 0.9)
    other = say(["S", "S", "IY", "S", "S", "K", "S"])
    soundfile.write(tones.root / "data/toned/s0-u0.wav", other, RATE)
    folder = extract(tones, "toned", TONES)
    lines = (folder / "mismatches.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["utt", "s0-u0"]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["mismatches"] == 1
    confidence = read_confidence(folder)
    assert list(confidence) == ["s0-u0", "s0-u1", "s1-u2", "s1-u3"]
    assert min(confidence, key=confidence.get) == "s0-u0"
    assert np.mean(list(confidence.values())) == pytest.approx(summary["confidence_mean"], abs=1e-4)
    (folder / "confidence.tsv").write_text("utt\tconfidence\ns0-u0\thigh\n")
    with pytest.raises(UserError, match=r"confidence\.tsv"):
        read_confidence(folder)
    (folder / "confidence.tsv").unlink()
    assert read_confidence(folder) == {}


def test_words_are_looked_up_without_scores(tones, tmp_path):
    make_tone_set(tmp_path, "plain", scored=False)
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("CAT K AA1 T\nBEE B AA1\nBEE B IY1\nSEA S IY1\n")
    folder = read_features(extract(tones, "plain", TONES, texts=TextConfig(lexicon)))
    assert [r.phone for r in folder.rows["s0-u0"]] == ["K", "AA1", "T", "B", "IY1"]
    assert [r.word for r in folder.rows["s0-u0"]] == ["CAT"] * 3 + ["BEE"] * 2
    lexicon.write_text("CAT K AA1 T\nBEE B IY1\n")
    (tmp_path / "data/plain/text").write_text(
        "s0-u0 cat bee\ns0-u1\ns1-u2 xqzzv\ns1-u3 ?!\n", encoding="utf-8"
    )
    found = extract(
        tones, "plain", TONES, texts=TextConfig(lexicon, False), on_error="skip", name="x"
    )
    assert list(read_features(found).rows) == ["s0-u0"]
    skipped = (found / "skipped.tsv").read_text()
    assert "The text is empty" in skipped and "has no words" in skipped and "XQZZV" in skipped


def test_two_processes_are_as_one(tmp_path):
    spec = posterior_set(tmp_path)
    settings = FeatureSettings(am=(spec,), method="both", prosody=True)
    one = extract(WorkDir(tmp_path), "toned", settings)
    two = extract(WorkDir(tmp_path), "toned", settings, name="two", jobs=2)
    for name in ("gop.ark", "rows.tsv", "phones.txt", "features.json", "summary.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_command(run, tmp_path):
    spec = posterior_set(tmp_path)
    ran = run("extract-gop", "--set", "toned", "-C", tmp_path, "--am", spec, "-j", 1, "--json")
    assert ran.code == 0 and json.loads(ran.out)["utterances"] == 4
    ran = run("extract-gop", "--set", "toned", "-C", tmp_path, "--am", "nothing", "--name", "n")
    assert ran.code == 2 and "nothing" in ran.err
    ran = run("extract-gop", "--set", "toned", "-C", tmp_path, "--method", "ctcc", "--name", "n")
    assert ran.code == 2 and "Did you mean 'ctc'" in ran.err


def test_real_speech_has_lower_gop_where_phones_are_bad(real_data, tmp_path, run):
    """Ten utterances with a phone of score 0: on average it is said worse than the others."""
    corpus = real_data / "speechocean762"
    assert run("prepare", "speechocean762", corpus, "-C", tmp_path).code == 0
    whole = tmp_path / "data" / "train"
    scores = (whole / "phone_scores.tsv").read_text().splitlines()
    bad = [line.split("\t")[0] for line in scores[1:] if line.endswith("\t0")]
    keep = set(list(dict.fromkeys(bad))[:10])
    for name in ("wav.scp", "utt2spk", "text", "phone_scores.tsv"):
        lines = (whole / name).read_text().splitlines(keepends=True)
        kept = [x for i, x in enumerate(lines) if x.split()[0] in keep or (i == 0 and "\t" in x)]
        (tmp_path / "data/small").mkdir(exist_ok=True)
        (tmp_path / "data/small" / name).write_text("".join(kept))
    for method in ("segment", "ctc"):
        settings = FeatureSettings(am=("sphinx",), method=method, prosody=True)
        folder = extract(WorkDir(tmp_path), "small", settings, name=method)
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["utterances"] == 10 and summary["gop_phone_accuracy_pcc"] > 0.2
