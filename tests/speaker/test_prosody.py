"""Prosody against known pitches and against Praat called directly."""

import json
import math

import numpy as np
import parselmouth
import pytest
import soundfile
from conftest import make_set, voice

from speechkit.base.errors import DataError
from speechkit.speaker import prosody


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("f0", [90.0, 210.0])
def test_pitch_of_a_known_voice(f0, rate):
    samples = voice(f0, 1.0, rate)
    found = prosody.measure(samples, rate)
    assert found.f0_median_hz == pytest.approx(f0, rel=0.005)
    assert found.voiced_fraction > 0.9
    assert found.energy == pytest.approx(float(np.mean(samples.astype(float) ** 2)))


def test_same_as_praat_called_directly():
    samples = np.concatenate([voice(120, 0.5), np.zeros(4000, np.float32), voice(180, 0.7)])
    pitch = parselmouth.Sound(samples.astype(float), 16000).to_pitch_ac(
        pitch_floor=75, pitch_ceiling=600
    )
    f0 = pitch.selected_array["frequency"]
    found = prosody.measure(samples, 16000)
    assert found.f0_median_hz == np.median(f0[f0 > 0])
    assert found.voiced_fraction == np.mean(f0 > 0)


@pytest.mark.parametrize("length", [1, 100, 8000])
def test_no_voiced_frame_gives_nan(length):
    noise = 1e-3 * np.random.default_rng(0).standard_normal(length)
    found = prosody.measure(noise.astype(np.float32), 16000)
    assert math.isnan(found.f0_median_hz)
    assert found.voiced_fraction == 0


def test_stage_writes_the_table(run, workdir):
    done = run("extract-prosody", "-C", workdir, "--json", "-j", 1)
    assert done.code == 0, done.err
    assert json.loads(done.out)[0] == {"measure": "utterances", "value": 12}
    table = prosody.read(workdir / "exp/prosody/train/prosody.tsv")
    assert list(table)[:2] == ["s0-u0", "s0-u1"]
    for k in range(4):
        assert table[f"s{k}-u0"].f0_median_hz == pytest.approx(100 + 20 * k, rel=0.01)
    manifest = json.loads((workdir / "exp/prosody/train/manifest.json").read_text())
    assert manifest["counts"] == {"utterances": 12, "skipped": 0, "unvoiced": 0}


def test_processes_do_not_change_the_table(run, workdir):
    assert run("extract-prosody", "-C", workdir, "-j", 1, "--name", "one").code == 0
    assert run("extract-prosody", "-C", workdir, "-j", 2, "--name", "two").code == 0
    one, two = (workdir / f"exp/prosody/train-{n}/prosody.tsv" for n in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_segments_are_honoured(run, tmp_path):
    folder = make_set(tmp_path, speakers=1, utterances=1)
    long = np.concatenate([voice(100, 1.0), voice(200, 1.0)])
    soundfile.write(folder / "wav" / "s0-u0.wav", long, 16000)
    (folder / "segments").write_text("s0-a s0-u0 0 1\ns0-b s0-u0 1 2\n")
    (folder / "utt2spk").write_text("s0-a s0\ns0-b s0\n")
    assert run("extract-prosody", "-C", tmp_path, "-j", 1).code == 0
    table = prosody.read(tmp_path / "exp/prosody/train/prosody.tsv")
    assert table["s0-a"].f0_median_hz == pytest.approx(100, rel=0.01)
    assert table["s0-b"].f0_median_hz == pytest.approx(200, rel=0.01)


def test_a_broken_utterance_is_named_or_skipped(run, workdir):
    (workdir / "data/train/wav/s1-u1.wav").write_bytes(b"")
    stopped = run("extract-prosody", "-C", workdir, "-j", 1)
    assert stopped.code == 2
    assert "s1-u1" in stopped.err and "empty" in stopped.err
    assert not (workdir / "exp/prosody/train").exists()
    skipped = run("extract-prosody", "-C", workdir, "-j", 1, "--on-error", "skip")
    assert skipped.code == 0
    assert "s1-u1" in (workdir / "exp/prosody/train/skipped.tsv").read_text()
    assert len(prosody.read(workdir / "exp/prosody/train/prosody.tsv")) == 11


def test_unvoiced_utterances_are_warned_of(run, workdir):
    soundfile.write(workdir / "data/train/wav/s0-u0.wav", np.zeros(8000), 16000)
    done = run("extract-prosody", "-C", workdir, "-j", 1)
    assert done.code == 0
    assert "s0-u0" in done.err and "no voiced frame" in done.err
    assert math.isnan(prosody.read(workdir / "exp/prosody/train/prosody.tsv")["s0-u0"].f0_median_hz)


@pytest.mark.parametrize("flags", [("--f0-min", 0), ("--f0-min", 700), ("--f0-max", 9000)])
def test_impossible_ranges(run, workdir, flags):
    done = run("extract-prosody", "-C", workdir, "-j", 1, *flags)
    assert done.code == 2
    assert "--f0-m" in done.err


def test_finished_parts_are_taken_up(run, workdir, monkeypatch):
    """A run that dies between two parts goes on with the second, with the same table."""
    whole = run("extract-prosody", "-C", workdir, "-j", 1, "--name", "whole")
    assert whole.code == 0
    monkeypatch.setattr(prosody, "PART", 5)
    measured = []
    real = prosody.measure

    def dying(samples, rate, f0_min, f0_max):
        measured.append(1)
        if len(measured) == 8:
            raise KeyboardInterrupt
        return real(samples, rate, f0_min, f0_max)

    monkeypatch.setattr(prosody, "measure", dying)
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 130
    again = run("extract-prosody", "-C", workdir, "-j", 1)
    assert again.code == 0 and "unfinished" in again.err
    assert len(measured) == 8 + 7  # 5 were kept
    tables = (workdir / f"exp/prosody/{n}/prosody.tsv" for n in ("train", "train-whole"))
    assert len({t.read_bytes() for t in tables}) == 1


def test_a_foreign_table_is_refused(tmp_path):
    path = tmp_path / "prosody.tsv"
    path.write_text("a\tb\n")
    with pytest.raises(DataError, match="columns"):
        prosody.read(path)
    path.write_text("\t".join(prosody.COLUMNS) + "\nu\t1\tx\t2\n")
    with pytest.raises(DataError, match=":2"):
        prosody.read(path)


def test_real_speech_separates_men_and_women(real_data):
    """Median pitch of adult speakers: men below 165 Hz, women above, for nearly all."""
    from speechkit.base import audio
    from speechkit.kaldi import data

    corpus = real_data / "speechocean762"
    ages = data.read_table(corpus / "test/spk2age")
    gender = data.read_table(corpus / "test/spk2gender")
    wavs = data.read_table(corpus / "test/wav.scp")
    speaker = data.read_table(corpus / "test/utt2spk")
    right = []
    for name in [s for s in gender if int(ages[s]) >= 18]:
        utterances = [u for u in wavs if speaker[u] == name][:3]
        f0 = [prosody.measure(*audio.read(corpus / wavs[u])).f0_median_hz for u in utterances]
        right.append((np.median(f0) < 165) == (gender[name] == "m"))
    assert np.mean(right) > 0.9


def test_an_offset_is_no_energy():
    samples = voice(120, 1.0)
    plain = prosody.measure(samples, 16000).energy
    assert prosody.measure(samples + np.float32(0.2), 16000).energy == pytest.approx(
        plain, rel=1e-4
    )
    assert prosody.measure(np.full(16000, 0.1, np.float32), 16000).energy < 1e-20
