"""The stage `mix`: levels, lengths, fair use of utterances, and what it refuses."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import dask_workers
import numpy as np
import pytest
import soundfile
from conftest import make_set, voice

from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import mixture_draws as mixtures
from speechkit.separation.config import MixConfig
from speechkit.separation.mixture_draws import Candidate, MixtureDraws
from speechkit.separation.mixture_set import mix
from speechkit.workdir import WorkDir


def pool(speakers: int, utterances: int, length: int = 8000) -> list[Candidate]:
    """Candidates of different lengths."""
    return [
        Candidate(Utterance(f"s{k}-u{j}", "", f"s{k}"), length + 100 * j + k)
        for k in range(speakers)
        for j in range(utterances)
    ]


def levels(sources: np.ndarray) -> np.ndarray:
    """RMS of each row in dB."""
    return 10 * np.log10(np.mean(sources.astype(np.float64) ** 2, axis=1))


@pytest.mark.parametrize("speakers", [2, 3])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_draws(speakers: int, mode: str) -> None:
    candidates = pool(6, 5)
    draws = MixtureDraws(candidates, speakers, mode, (-5, 5), 1)
    plans = draws.plans(300)
    assert draws.plans(100) == plans[:100]
    assert MixtureDraws(candidates, speakers, mode, (-5, 5), 2).plans(1) != plans[:1]
    for plan in plans:
        assert len({source.speaker for source in plan.sources}) == speakers
        lengths = [source.samples for source in plan.sources]
        assert plan.samples == (min(lengths) if mode == "min" else max(lengths))
        for length, offset in zip(lengths, plan.offsets, strict=True):
            low, high = sorted((0, plan.samples - length))
            assert low <= offset <= high
    uses = Counter(s.utterance.id for plan in plans for s in plan.sources)
    assert len(uses) == len(candidates)
    assert max(uses.values()) - min(uses.values()) <= 2
    snr = np.array([plan.snr_db[1:] for plan in plans]).ravel()
    assert np.histogram(snr, 5, (-5, 5))[0].min() > 0.12 * len(snr)  # uniform: 0.2
    assert len({plan.offsets for plan in plans}) > 150


def test_a_speaker_with_most_utterances_does_not_block_the_others() -> None:
    candidates = [*pool(1, 200), Candidate(Utterance("t-u0", "", "t"), 9000)]
    plans = MixtureDraws(candidates, 2, "min", (0, 0), 0).plans(300)
    uses = Counter(s.utterance.id for plan in plans for s in plan.sources)
    assert uses.pop("t-u0") == 300
    assert len(uses) == 200
    assert max(uses.values()) <= 3


def test_sources_stand_in_the_mixture_as_asked(workdir: Path) -> None:
    settings = MixConfig("train", count=40, snr_min=-3, snr_max=4)
    folder = mix(WorkDir(workdir), settings)
    assert folder == workdir / "data" / "train_2mix"
    found = load_mixtures(folder, workdir)
    assert (found.header.sample_rate, found.header.mode) == (8000, "min")
    assert found.header.source_set == "train"
    stored = {u.id: u for u in data.load(workdir / "data" / "train", workdir).utterances}
    all_snr = []
    for mixture in found.mixtures:
        mixed, sources = found.read(mixture)
        one, other = levels(sources)
        assert -3 <= one - other <= 4
        assert (one + other) / 2 == pytest.approx(-25, abs=1e-3)
        assert np.abs(mixed).max() < 1
        all_snr.append(one - other)
        names = [s.utterance.id for s in mixture.sources]
        shortest = min(soundfile.info(stored[name].wav).frames for name in names)
        assert mixture.samples == shortest // 2
    assert min(all_snr) < -2
    assert max(all_snr) > 3
    rows = (folder / "levels.tsv").read_text().splitlines()[1:]
    table = np.array([[float(value) for value in row.split("\t")[1:3]] for row in rows])
    np.testing.assert_allclose(table[:, 0] - table[:, 1], all_snr, atol=2e-3)


def test_max_mode_keeps_whole_utterances(workdir: Path) -> None:
    settings = MixConfig("train", count=12, speakers=3, mode="max", rate=16000)
    found = load_mixtures(mix(WorkDir(workdir), settings), workdir)
    for mixture in found.mixtures:
        _, sources = found.read(mixture)
        assert sources.shape == (3, mixture.samples)
        np.testing.assert_array_less(np.abs(levels(sources)[0] - levels(sources)[1:]), 5.001)
        for row, source in zip(sources, mixture.sources, strict=True):
            whole = soundfile.read(source.utterance.wav, dtype="float32")[0]
            inside = row[source.offset : source.offset + len(whole)]
            np.testing.assert_allclose(inside, whole * 10 ** (source.gain_db / 20), atol=1e-6)
            assert not row[: source.offset].any()
            assert not row[source.offset + len(whole) :].any()


def test_a_small_set_is_the_beginning_of_a_large_one(workdir: Path) -> None:
    lists = [
        (mix(WorkDir(workdir), MixConfig("train", count=count), name) / "mixtures.tsv").read_text()
        for count, name in ((5, "five"), (20, "twenty"))
    ]
    assert lists[1].startswith(lists[0])
    assert len(lists[1].splitlines()) == 21


@pytest.mark.parametrize("mode", ["min", "max"])
def test_stored_audio_is_what_would_be_mixed(workdir: Path, mode: str, run) -> None:
    settings = MixConfig("train", count=6, mode=mode)
    plain = load_mixtures(mix(WorkDir(workdir), settings), workdir)
    arguments = ("--count", 6, "--mode", mode, "--write-audio", "--name", "wav", "-j", 1)
    done = run("mix", "-C", workdir, "--set", "train", *arguments, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["mixtures"] == 6
    folder = workdir / "data" / "train_2mix-wav"
    stored = load_mixtures(folder, workdir)
    for one, other in zip(plain.mixtures, stored.mixtures, strict=True):
        for expected, got in zip(plain.read(one), stored.read(other), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-6)
        assert plain.genders(one) == stored.genders(other)
        assert all((s.gain_db, s.offset) == (0, 0) for s in other.sources)
        assert [s.utterance.speaker for s in other.sources] == [
            s.utterance.speaker for s in one.sources
        ]
        header = soundfile.info(other.wav)
        assert (header.subtype, header.samplerate) == ("FLOAT", 8000)
    drawn = (folder / "drawn.tsv").read_text()
    assert drawn == (workdir / "data" / "train_2mix" / "mixtures.tsv").read_text()
    assert (folder / "text").exists() == (mode == "max")
    assert run("validate", "-C", workdir, "--set", folder.name).code == 0


def test_stored_audio_is_equal_to_the_byte_at_any_time(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    mixtures.store(tmp_path / "a.wav", samples, 8000)
    time.sleep(1.05)  # the header of libsndfile's float files holds the second
    mixtures.store(tmp_path / "b.wav", samples, 8000)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    found, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == 8000
    np.testing.assert_array_equal(found, samples)


def loud(root: Path, peak_at: int) -> None:
    """A set of clicks: a high peak at a low RMS level."""
    make_set(root, speakers=2, utterances=1, rate=8000, seconds=2.0)
    for k in range(2):
        click = np.zeros(16000, np.float32)
        click[peak_at + k * 40 :: 4000] = 1
        soundfile.write(root / "data" / "train" / "wav" / f"s{k}-u0.wav", click, 8000, "FLOAT")


def test_peaks_are_turned_down_with_the_levels_between_kept(tmp_path: Path) -> None:
    loud(tmp_path, 100)
    folder = mix(WorkDir(tmp_path), MixConfig("train", count=3, snr_min=3, snr_max=3))
    found = load_mixtures(folder, tmp_path)
    for mixture in found.mixtures:
        mixed, sources = found.read(mixture)
        assert max(np.abs(mixed).max(), np.abs(sources).max()) == pytest.approx(0.99, abs=1e-4)
        assert levels(sources)[0] - levels(sources)[1] == pytest.approx(3, abs=1e-3)
    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    assert counts["turned_down"] == 3


def test_segments_and_short_utterances(tmp_path: Path, run) -> None:
    folder = make_set(tmp_path, speakers=3, utterances=2, seconds=2.0)
    source = data.load(folder, tmp_path)
    ends = {u.id: 1.0 if u.id == "s0-u0" else 1.75 for u in source.utterances}
    rows = {u.id: f"{u.id} 0.25 {ends[u.id]}" for u in source.utterances}
    data.write_table(folder / "segments", rows)
    done = run("mix", "-C", tmp_path, "--set", "train", "--count", 8, "-j", 1)
    assert done.code == 0, done.err
    assert "Not used: 1 utterance below 1 s." in done.err
    found = load_mixtures(tmp_path / "data" / "train_2mix", tmp_path)
    assert {m.samples for m in found.mixtures} == {12000}
    assert "s0-u0" not in {s.utterance.id for m in found.mixtures for s in m.sources}
    _, sources = found.read(found.mixtures[0])
    assert np.abs(sources).max() > 0.01


def test_silent_utterances_are_replaced_and_named(workdir: Path, run) -> None:
    wav = workdir / "data" / "train" / "wav"
    soundfile.write(wav / "s1-u0.wav", np.zeros(16000), 16000)
    done = run("mix", "-C", workdir, "--set", "train", "--count", 24, "-j", 1)
    assert done.code == 0, done.err
    folder = workdir / "data" / "train_2mix"
    used = {s.utterance.id for m in load_mixtures(folder, workdir).mixtures for s in m.sources}
    assert "s1-u0" not in used
    assert len(used) == 11
    assert "in the place of 1 utterance, silent" in done.err
    assert "s1-u0\t" in (folder / "skipped.tsv").read_text()
    small = mix(WorkDir(workdir), MixConfig("train", count=7), "small") / "mixtures.tsv"
    assert (folder / "mixtures.tsv").read_text().startswith(small.read_text())


def test_nothing_but_silence(workdir: Path, run) -> None:
    for path in (workdir / "data" / "train" / "wav").iterdir():
        soundfile.write(path, np.zeros(16000), 16000)
    done = run("mix", "-C", workdir, "--set", "train", "--count", 3, "-j", 1)
    assert done.code == 2
    assert "silent or broken" in done.err
    assert not (workdir / "data" / "train_2mix").exists()


@pytest.mark.parametrize("kind", ["header", "samples"])
def test_broken_audio(workdir: Path, run, kind: str) -> None:
    path = workdir / "data" / "train" / "wav" / "s2-u1.wav"
    if kind == "header":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        sound = voice(140, 1.1)
        sound[500] = np.nan
        soundfile.write(path, sound, 16000, "FLOAT")
    command = ("mix", "-C", workdir, "--set", "train", "--count", 12, "-j", 1)
    done = run(*command)
    assert done.code == 2
    assert "s2-u1" in done.err
    done = run(*command, "--on-error", "skip")
    assert done.code == 0, done.err
    folder = workdir / "data" / "train_2mix"
    assert "s2-u1\t" in (folder / "skipped.tsv").read_text()
    assert "s2-u1" not in (folder / "mixtures.tsv").read_text()


def test_processes_and_resuming_give_the_same(workdir: Path, run) -> None:
    command = ("mix", "-C", workdir, "--set", "train", "--count", 20, "--rate", 16000)
    assert run(*command, "-j", 1).code == 0
    table = (workdir / "data" / "train_2mix" / "mixtures.tsv").read_bytes()
    assert "up to date" in run(*command, "-j", 2).err
    assert run(*command, "-j", 2, "--force").code == 0
    assert (workdir / "data" / "train_2mix" / "mixtures.tsv").read_bytes() == table


def test_a_higher_rate_than_the_files_is_said(workdir: Path, run) -> None:
    done = run("mix", "-C", workdir, "--set", "train", "--count", 2, "--rate", 44100, "-j", 1)
    assert done.code == 0
    assert "12 utterances below 44100 Hz" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--speakers", 5), "has 4 speakers"),
        (("--speakers", 1), "--speakers 1 is out of range"),
        (("--count", 0), "--count 0 is out of range"),
        (("--mode", "mid"), "--mode 'mid' is not known"),
        (("--snr-min", 6), "not a range of levels"),
        (("--snr-max", "nan"), "not a range of levels"),
        (("--min-seconds", 30), "has 0 speakers"),
        (("--set", "none"), "There is no set"),
        (("--name", "../x"), "cannot be"),
    ],
)
def test_refused(workdir: Path, run, arguments: tuple, message: str) -> None:
    done = run("mix", "-C", workdir, "--set", "train", "--count", 3, "-j", 1, *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert {p.name for p in (workdir / "data").iterdir()} == {"train"}


def test_one_speaker_and_mixtures_of_mixtures(tmp_path: Path, run) -> None:
    make_set(tmp_path, speakers=1)
    done = run("mix", "-C", tmp_path, "--set", "train")
    assert done.code == 2
    assert "1 speaker " in done.err
    make_set(tmp_path, "test", speakers=2)
    mix(WorkDir(tmp_path), MixConfig("test", count=2))
    with pytest.raises(UserError, match="mixtures already"):
        mix(WorkDir(tmp_path), MixConfig("test_2mix", count=2))


def test_real_speech(real_data: Path, tmp_path: Path) -> None:
    corpus = real_data / "speechocean762"
    wavs = data.read_table(corpus / "test" / "wav.scp")
    speakers = data.read_table(corpus / "test" / "utt2spk")
    chosen = sorted(wavs)[::25]
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    full = {name: str(corpus / wavs[name]) for name in chosen}
    data.write(folder, full, {name: speakers[name] for name in chosen})
    found = load_mixtures(mix(WorkDir(tmp_path), MixConfig("test", count=10)), tmp_path)
    assert {found.genders(mixture) for mixture in found.mixtures} == {"??"}
    for mixture in found.mixtures:
        mixed, sources = found.read(mixture)
        one, other = levels(sources)
        assert abs(one - other) <= 5.001
        assert np.abs(mixed).max() < 1


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_offset_changes_no_level(workdir: Path, mode: str) -> None:
    settings = MixConfig("train", count=24, mode=mode, seed=3)
    wanted = load_mixtures(mix(WorkDir(workdir), settings, "plain"), workdir)
    wav = workdir / "data" / "train" / "wav"
    for path in wav.glob("s1-*.wav"):
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(path, samples + 0.1, rate, subtype="FLOAT")
    found = load_mixtures(mix(WorkDir(workdir), settings, "offset"), workdir)
    for mixture, plain in zip(found.mixtures, wanted.mixtures, strict=True):
        gains, others = ([s.gain_db for s in m.sources] for m in (mixture, plain))
        # Above full scale both are turned down together, which an offset may ask for.
        assert np.diff(gains) == pytest.approx(np.diff(others), abs=0.02)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 44101])
def test_a_constant_is_silence(workdir: Path, run, rate: int) -> None:
    wav = workdir / "data" / "train" / "wav"
    soundfile.write(wav / "s1-u0.wav", np.full(2 * rate, 0.5), rate, subtype="FLOAT")
    done = run("mix", "-C", workdir, "--set", "train", "--count", 12, "-j", 1)
    assert done.code == 0, done.err
    skipped = (workdir / "data" / "train_2mix" / "skipped.tsv").read_text()
    assert "s1-u0\t" in skipped and "silent in the part that is mixed" in skipped


def test_a_cluster_writes_the_same_audio(workdir: Path) -> None:
    settings = MixConfig("train", count=6, write_audio=True)
    here = mix(WorkDir(workdir), settings, "here")
    with dask_workers.in_process() as executor:
        there = mix(WorkDir(workdir), settings, "there", executor=executor)
    wavs = sorted(path.relative_to(here) for path in here.rglob("*.wav"))
    assert len(wavs) == 18
    assert all((here / wav).read_bytes() == (there / wav).read_bytes() for wav in wavs)
