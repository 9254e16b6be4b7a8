"""The generated corpus: the same for the same seed, and voices that differ."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.base.errors import UserError
from speechkit.corpora import demo, espeak
from speechkit.corpora.config import DemoConfig
from speechkit.corpora.voices import make_sentences, make_voices, transcript
from speechkit.kaldi import data
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest

SETS = ("train", "dev", "test")


def digests(root: Path) -> dict[str, str]:
    """Content of all files of all sets but the manifests, which hold the time."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted((root / "data").rglob("*"))
        if p.is_file() and p.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    demo.prepare(WorkDir(root), DemoConfig(60, 12), jobs=1)
    return root


def test_sets_are_whole_and_speaker_disjoint(made: Path) -> None:
    sets = {name: data.load(made / "data" / name, made) for name in SETS}
    assert [len(s.speakers) for s in sets.values()] == [8, 2, 2]
    assert len({speaker for s in sets.values() for speaker in s.speakers}) == 12
    assert sum(len(s.utterances) for s in sets.values()) == 60
    for loaded in sets.values():
        assert sorted(loaded.gender.values()) == sorted("fm" * (len(loaded.speakers) // 2))
        assert set(loaded.text) == {u.id for u in loaded.utterances}
        assert all(u.id.startswith(f"{u.speaker}-") for u in loaded.utterances)
        assert loaded.text == {k: v.upper() for k, v in loaded.text.items()}
    scp = data.read_table(made / "data" / "dev" / "wav.scp")
    assert all(path == f"data/dev/wav/{name}.wav" for name, path in scp.items())


def test_it_says_that_it_is_generated(made: Path, run) -> None:
    for name in SETS:
        manifest = read_manifest(made / "data" / name)
        assert manifest and "Generated speech" in manifest["notice"]
    ran = run("prepare", "demo", "--utterances", 60, "--speakers", 12, "-C", made, "--json")
    assert "not recordings of people" in ran.err and ran.err.count("is up to date") == 3
    assert [row["utterances"] for row in json.loads(ran.out)] == [40, 10, 10]


def test_audio_is_sound(made: Path) -> None:
    for name in SETS:
        for utterance, seconds in data.load(made / "data" / name, made).durations.items():
            path = made / "data" / name / "wav" / f"{utterance}.wav"
            assert soundfile.info(path).subtype == "PCM_16"
            samples, rate = soundfile.read(path)
            assert rate == 16000 and seconds == pytest.approx(len(samples) / rate, abs=1e-4)
            assert 1.2 < seconds < 8
            assert np.abs(samples).max() < 0.95
            level = 10 * np.log10(np.mean(samples**2))
            assert -30 < level < -22
            edges = np.concatenate([samples[:800], samples[-800:]])
            assert np.sqrt(np.mean(edges**2)) < 0.1 * np.sqrt(np.mean(samples**2))


def test_same_seed_same_bytes_in_other_processes(made: Path, tmp_path: Path) -> None:
    """Two workers in a new Python, another hash seed: the same files, bit by bit."""
    command = [sys.executable, "-m", "speechkit", "prepare", "demo", "--utterances", "60"]
    command += ["--speakers", "12", "-j", "2", "-C", str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    assert digests(tmp_path) == digests(made)
    assert len(digests(made)) == 60 + 3 * 6


def test_other_seed_other_speech(made: Path, tmp_path: Path) -> None:
    demo.prepare(WorkDir(tmp_path), DemoConfig(6, 6, 1))
    there, here = digests(made), digests(tmp_path)
    wavs = [name for name in here if name.endswith(".wav")]
    assert len(wavs) == 6 and not set(here.values()) & set(there.values())
    demo.prepare(WorkDir(tmp_path), DemoConfig(6, 6, 1), force=True)
    assert digests(tmp_path) == here


def test_pitch_follows_the_voice(made: Path) -> None:
    """Measured by Praat: median f0 rises with the voice's, and lies near it."""
    parselmouth = pytest.importorskip("parselmouth")
    wanted = {voice.speaker: voice.f0 for voice in make_voices(12, 0)}
    heard: dict[str, list[float]] = {}
    for path in sorted((made / "data").rglob("*.wav")):
        f0 = parselmouth.Sound(str(path)).to_pitch_ac().selected_array["frequency"]
        heard.setdefault(path.stem.split("-")[0], []).append(float(np.median(f0[f0 > 0])))
    ratios = [np.median(heard[speaker]) / wanted[speaker] for speaker in wanted]
    assert min(ratios) > 0.85 and max(ratios) < 1.15
    assert all(len({round(value, 1) for value in values}) > 1 for values in heard.values())


def test_voices_differ_in_every_respect() -> None:
    voices = make_voices(24, 0)
    assert [voice.gender for voice in voices].count("f") == 12
    for gender in "fm":
        some = [voice for voice in voices if voice.gender == gender]
        pitches = sorted(voice.f0 for voice in some)
        assert min(b / a for a, b in pairwise(pitches)) > 1.04
        assert len({voice.file() for voice in some}) == 12
        assert len({(voice.rate, voice.accent) for voice in some}) == 12
    assert make_voices(24, 0) == voices and make_voices(24, 1) != voices


def test_sentences() -> None:
    sentences = make_sentences(2000, 3)
    assert len(set(sentences)) == 2000 and sentences == make_sentences(2000, 3)
    assert not any("{" in sentence for sentence in sentences)
    lengths = [len(sentence.split()) for sentence in sentences]
    assert min(lengths) >= 5 and max(lengths) <= 20
    assert transcript("when it's cold, why did he wait?") == "WHEN IT'S COLD WHY DID HE WAIT"


def test_trim_keeps_a_margin() -> None:
    samples = np.zeros(16000, np.float32)
    samples[4000:8000] = 0.5
    assert np.flatnonzero(demo.trim(samples, 16000))[0] == 1600
    assert len(demo.trim(samples, 16000)) == 1600 + 4000 + 1600
    np.testing.assert_array_equal(demo.trim(samples[4000:8000], 16000), demo.trim(samples, 16000))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--speakers", 5), "--speakers 5 is not possible"),
        (("--speakers", 1000), "--speakers 1000 is not possible"),
        (("--utterances", 23), "with 24 speakers"),
    ],
)
def test_impossible_counts(tmp_path: Path, run, flags: tuple, said: str) -> None:
    ran = run("prepare", "demo", *flags, "-C", tmp_path)
    assert ran.code == 2 and said in ran.err
    assert not (tmp_path / "data").exists()


def test_broken_library_is_the_users_to_mend(tmp_path: Path) -> None:
    espeak.make_data_folder(tmp_path, {})
    request = espeak.Request("hello", "no-such-language+x", 150, 50, 50)
    with pytest.raises(UserError, match="it has no voice 'no-such-language\\+x'"):
        espeak.speak([request], tmp_path)
    (tmp_path / "phontab").unlink()
    with pytest.raises(UserError, match="espeak-ng failed"):
        espeak.speak([request], tmp_path)


def test_full_disk_leaves_nothing(tmp_path: Path, run, monkeypatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    flags = ("--utterances", 6, "--speakers", 6, "-j", 1, "-C", tmp_path)
    ran = run("prepare", "demo", *flags)
    assert ran.code == 2 and "The disk is full" in ran.err
    assert list((tmp_path / "data").iterdir()) == []
