"""The stage ``extract-deep`` and its command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from deep_models import make_ctc, make_tdnn
from tone_models import RATE, say
from tone_sets import make_tone_set, posterior_set

from speechkit.base.errors import DataError, UserError
from speechkit.kaldi import data
from speechkit.phone_features import extract as extraction_stage
from speechkit.phone_features.extract import extract
from speechkit.phone_features.feature_folder import frame_means, read_features, read_phone_features
from speechkit.phone_features.pipeline import FeaturePipeline, load_pipeline
from speechkit.phone_features.settings import FeatureSettings
from speechkit.workdir import WorkDir

TINY = FeatureSettings(am=("tiny",), method="deep")
FRAMES = FeatureSettings(am=("tiny",), method="deep", level="frame")


@pytest.fixture
def work(tmp_path: Path):
    """A working directory with a set of tone speech and a tiny acoustic model."""
    make_tone_set(tmp_path)
    make_tdnn(tmp_path)
    load_pipeline.cache_clear()
    yield WorkDir(tmp_path)
    load_pipeline.cache_clear()


def test_what_is_written(work: WorkDir) -> None:
    folder = extract(work, "toned", TINY)
    assert folder == work.exp("deep", "toned")
    found = read_features(folder, work.root)
    assert list(found.rows) == ["s0-u0", "s0-u1", "s1-u2", "s1-u3"]
    assert found.table["s0-u0"].shape == (5, 8) and found.table["s0-u0"].dtype == np.float32
    config = found.config
    assert (config["method"], config["level"], config["layer"]) == ("deep", "phone", 3)
    assert (config["am"], config["frame_shift"]) == (["tiny"], 0.01)
    maker = FeaturePipeline.from_config(config, work)
    samples, _ = soundfile.read(work.root / "data/toned/s0-u1.wav", dtype="float32")
    again = maker.extract(samples, [[("K", "AA1", "T")], [("B", "IY1")]], "s0")
    np.testing.assert_allclose(found.table["s0-u1"], again.features, atol=1e-5)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["phones"] == 17 and summary["dimension"] == 8


def test_ctm_is_that_of_the_rows(work: WorkDir) -> None:
    folder = extract(work, "toned", TINY)
    rows = read_features(folder).rows
    lines = [line.split() for line in (folder / "phones.ctm").read_text().splitlines()]
    spoken = [(u, p, float(a), float(d)) for u, _, a, d, p, _ in lines if p != "SIL"]
    wanted = [(u, r.phone, r.start, r.duration) for u, found in rows.items() for r in found]
    assert [line[:2] for line in spoken] == [line[:2] for line in wanted]
    np.testing.assert_allclose([s[2:] for s in spoken], [w[2:] for w in wanted], atol=1e-4)


def test_means_of_frames_are_the_features_of_phones(work: WorkDir) -> None:
    phones = read_features(extract(work, "toned", TINY))
    frames = read_features(extract(work, "toned", FRAMES, name="frames"))
    assert phones.config["fingerprint"] == frames.config["fingerprint"]
    assert frames.rows == phones.rows
    for utterance in phones.rows:
        assert len(frames.table[utterance]) > 20
        mean = read_phone_features(frames, utterance)
        np.testing.assert_allclose(mean, phones.table[utterance], atol=1e-6)
        np.testing.assert_array_equal(
            read_phone_features(phones, utterance), phones.table[utterance]
        )


def test_frames_of_another_recording(work: WorkDir) -> None:
    frames = read_features(extract(work, "toned", FRAMES))
    with pytest.raises(DataError, match="alignment ends at"):
        frame_means(frames.table["s0-u0"][:10], frames.rows["s0-u0"], 0.01)


def test_up_to_date_and_other_settings(work: WorkDir) -> None:
    folder = extract(work, "toned", TINY)
    before = (folder / "manifest.json").read_text()
    extract(work, "toned", TINY)
    assert (folder / "manifest.json").read_text() == before
    with pytest.raises(UserError, match="other parameters"):
        extract(work, "toned", FeatureSettings(am=("tiny",), method="deep", layer=1))
    make_tdnn(work.root, seed=3)  # the model was trained again
    load_pipeline.cache_clear()
    extract(work, "toned", TINY)
    assert (folder / "manifest.json").read_text() != before


@pytest.mark.parametrize("settings", [TINY, FRAMES])
def test_a_stopped_run_goes_on(
    work: WorkDir, monkeypatch: pytest.MonkeyPatch, settings: FeatureSettings
) -> None:
    monkeypatch.setattr(extraction_stage, "BATCH", 1)
    monkeypatch.setattr(extraction_stage, "PART", 2)
    whole = extract(work, "toned", settings)
    names = ("deep.ark", "deep.scp", "rows.tsv", "phones.ctm", "features.json", "summary.json")
    kept = [(whole / name).read_bytes() for name in names]
    shutil.rmtree(whole)
    run, heard = FeaturePipeline.extract_many, list[str]()

    def stops(self, requests):
        if requests[0].utterance == "s1-u3":
            raise KeyboardInterrupt
        return run(self, requests)

    def listens(self, requests):
        heard.extend(request.utterance for request in requests)
        return run(self, requests)

    monkeypatch.setattr(FeaturePipeline, "extract_many", stops)
    with pytest.raises(KeyboardInterrupt):
        extract(work, "toned", settings)
    assert not whole.exists()
    monkeypatch.setattr(FeaturePipeline, "extract_many", listens)
    extract(work, "toned", settings)
    assert heard == ["s1-u2", "s1-u3"]  # the first part was kept
    for name, before in zip(names, kept, strict=True):
        assert (whole / name).read_bytes() == before, name


def test_two_processes_are_as_one(work: WorkDir) -> None:
    one = extract(work, "toned", TINY)
    two = extract(work, "toned", TINY, name="two", jobs=2)
    for name in ("deep.ark", "rows.tsv", "phones.ctm", "phones.txt", "features.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_an_alignment_that_fails(work: WorkDir) -> None:
    """More phones than the audio has frames for: named, or skipped and listed."""
    short = say(["K"], 0.05, silence=0.02)
    soundfile.write(work.root / "data/toned/s0-u1.wav", short, RATE)
    with pytest.raises(UserError, match="s0-u1: The text is longer than the audio"):
        extract(work, "toned", TINY)
    folder = extract(work, "toned", TINY, on_error="skip")
    assert list(read_features(folder).rows) == ["s0-u0", "s1-u2", "s1-u3"]
    assert "s0-u1\tThe text is longer" in (folder / "skipped.tsv").read_text()


def test_training_speakers_are_pointed_out(work: WorkDir, caplog) -> None:
    make_tdnn(work.root, "both", folds=2, unseen="mean")
    extract(work, "toned", FeatureSettings(am=("both",), method="deep"))
    assert "'full' of both was trained on 2 speakers of the set" in caplog.text


def test_command(run, work: WorkDir) -> None:
    base = ("extract-deep", "-C", work.root, "-j", 1, "--set", "toned")
    ran = run(*base, "--am", "tiny", "--layer", 2, "--level", "frame", "--json")
    assert ran.code == 0 and json.loads(ran.out)["dimension"] == 12
    ran = run(*base, "--am", "sphinx", "--name", "x")
    assert ran.code == 2 and "no hidden features" in ran.err
    ran = run(*base, "--am", "tiny", "--layer", 9, "--name", "x")
    assert ran.code == 2 and "no hidden layer 9" in ran.err and "1 to 3" in ran.err
    ran = run(*base, "--am", posterior_set(work.root / "other"), "--name", "x")
    assert ran.code == 2 and "no hidden features" in ran.err
    ran = run(*base, "--am", "tiny", "--level", "phones", "--name", "x")
    assert ran.code == 2 and "Did you mean 'phone'" in ran.err
    ran = run("extract-gop", "-C", work.root, "--set", "toned", "--am", "tiny", "--method", "deep")
    assert ran.code == 2 and "--method" in ran.err
    assert not work.exp("deep", "toned", name="x").exists()


def test_a_word_in_no_lexicon(run, work: WorkDir) -> None:
    make_tone_set(work.root, "plain", scored=False)
    (work.root / "data/plain/text").write_text(
        "s0-u0 cat bee\ns0-u1 xqzzv\ns1-u2 sea\ns1-u3 sea\n", encoding="utf-8"
    )
    lexicon = work.root / "lexicon.txt"
    lexicon.write_text("CAT K AA1 T\nBEE B IY1\nSEA S IY1\n")
    base = ("extract-deep", "-C", work.root, "-j", 1, "--set", "plain", "--am", "tiny")
    ran = run(*base, "--lexicon", lexicon, "--no-g2p")
    assert ran.code == 2 and "s0-u1" in ran.err and "XQZZV" in ran.err


def test_a_ctc_model_with_segments_of_another(run, work: WorkDir) -> None:
    folder = make_ctc(work.root / "ctc")
    base = ("extract-deep", "-C", work.root, "-j", 1, "--set", "toned", "--am", folder)
    ran = run(*base, "--align-with", "tiny", "--layer", 1, "--json")
    assert ran.code == 0 and json.loads(ran.out)["dimension"] == 16
    frames = run(*base, "--align-with", "tiny", "--layer", 1, "--level", "frame", "--name", "f")
    assert frames.code == 0
    found = read_features(work.exp("deep", "toned"))
    other = read_features(work.exp("deep", "toned", name="f"))
    for utterance in found.rows:
        mean = read_phone_features(other, utterance)
        np.testing.assert_allclose(mean, found.table[utterance], atol=1e-5)


def test_real_speech(real_data: Path, tmp_path: Path, run) -> None:
    """Four utterances, the features of a random network, the phones found by sphinx."""
    corpus = real_data / "speechocean762"
    tables = {name: data.read_table(corpus / "train" / name) for name in ("wav.scp", "utt2spk")}
    text = data.read_table(corpus / "train" / "text")
    some = list(text)[:4]
    wavs = {utterance: str(corpus / tables["wav.scp"][utterance]) for utterance in some}
    speakers = {utterance: tables["utt2spk"][utterance] for utterance in some}
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    data.write(folder, wavs, speakers, text={utterance: text[utterance] for utterance in some})
    make_tdnn(tmp_path)
    base = ("extract-deep", "-C", tmp_path, "-j", 1, "--set", "small", "--am", "tiny")
    ran = run(*base, "--align-with", "sphinx", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert summary["utterances"] == 4 and summary["mismatches"] == 0
    found = read_features(tmp_path / "exp/deep/small")
    assert sum(len(found.table[u]) for u in found.rows) == summary["phones"] > 30
