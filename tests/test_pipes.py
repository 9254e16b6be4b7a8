"""A shell command runs only from wav.scp, under --allow-pipes; a file may be named like one."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base import audio
from speechkit.base.errors import AudioError, DataError
from speechkit.kaldi import data
from speechkit.labels.mixtures import load_mixtures
from speechkit.phone_features import recordings

NAME = "x; touch PWNED |"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, in which nothing may be touched."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.rglob("PWNED"))


@pytest.fixture
def sound(place):
    """A recording with a name that would be a command in wav.scp."""
    sound = voice(120, 1.0)
    soundfile.write(place / NAME, sound, 16000, subtype="FLOAT", format="WAV")
    return sound


@pytest.mark.parametrize("path", [NAME, Path(NAME)])
def test_a_file_with_such_a_name_is_the_file_it_is(sound, path):
    np.testing.assert_array_equal(audio.read(path)[0], sound)
    assert audio.info(path).frames == len(sound)
    np.testing.assert_array_equal(np.concatenate(list(audio.read_blocks(path))), sound)
    Path(NAME).unlink()
    for read in (audio.read, audio.info, lambda name: list(audio.read_blocks(name))):
        with pytest.raises(AudioError, match="No such file"):
            read(path)


def test_texts_of_recordings(sound, place):
    Path("list.tsv").write_text(f"{NAME}\tWE CALL\n")
    (job,) = recordings.jobs_of([], "", Path("list.tsv"))
    assert recordings.read(job).seconds == 1.0
    (job,) = recordings.jobs_of([Path(NAME)], "WE CALL", None)
    np.testing.assert_array_equal(recordings.read(job).at(16000), sound)


def test_predict_reads_the_file(sound, run):
    ran = run("predict", "pronunciation", NAME, "--text", "we call it bear", "--json")
    assert ran.code == 0, ran.err
    assert NAME in ran.out


def test_a_cell_of_mixtures(workdir, place, run):
    """The set of mixtures, in which the mixture of the first line has such a name."""
    assert run("mix", "--set", "train", "--count", 2, "--rate", 8000, "-j", 1).code == 0
    folder = workdir / "data" / "train_2mix"
    table = folder / "mixtures.tsv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{header}\twav", *(f"{row}\t{NAME}" for row in rows)]) + "\n")
    mixtures = load_mixtures(folder, Path())
    with pytest.raises(AudioError, match="No such file"):
        mixtures.read(mixtures.mixtures[0])
    ran = run("validate", "--set", "train_2mix")
    assert ran.code == 2 and NAME in "".join(ran.out.split("\n"))
    soundfile.write(NAME, np.full(40000, 0.5), 8000, format="WAV")
    assert (mixtures.read(mixtures.mixtures[0])[0] == 0.5).all()


def test_a_set_with_such_a_path_is_refused_when_written(sound, place, run):
    Path("list.tsv").write_text(f"{NAME}\tanna\n")
    with pytest.raises(DataError, match=r"cannot stand in wav\.scp"):
        data.write(place, {"a": NAME}, {"a": "anna"})
    assert not Path("wav.scp").exists()
    ran = run("prepare", "folder", "list.tsv", "--set", "p")
    assert ran.code == 2 and "cannot stand in wav.scp" in ran.err
    assert not Path("data/p").exists()


def test_wav_scp_alone_makes_pipes(workdir, place, run):
    folder = workdir / "data" / "train"
    lines = (folder / "wav.scp").read_text().splitlines()
    key, path = lines[0].split()
    (folder / "wav.scp").write_text("\n".join([f"{key} cat {path} |", *lines[1:]]) + "\n")
    with pytest.raises(DataError, match="is a pipe"):
        data.load(folder, workdir)
    pipe, *files = (u.wav for u in data.load(folder, workdir, allow_pipes=True).utterances)
    assert pipe == audio.Pipe(f"cat {path}") and str(pipe) == f"cat {path} |"
    assert all(isinstance(wav, str) for wav in files)
    np.testing.assert_array_equal(audio.read(pipe)[0], audio.read(workdir / path)[0])
    assert audio.info(pipe) == audio.info(workdir / path)
    ran = run("split", "--set", "train", "--share", 0.5, "--into", "a,b")  # copied, not run
    assert ran.code == 0, ran.err
    copied = [(workdir / "data" / name / "wav.scp").read_text() for name in "ab"]
    assert f"{key} cat {path} |\n" in "".join(copied)
    assert run("extract-prosody", "--set", "train").code == 2
    ran = run("extract-prosody", "--set", "train", "--allow-pipes", "-j", 1)
    assert ran.code == 0, ran.err
    counts = json.loads((workdir / "exp/prosody/train/manifest.json").read_text())["counts"]
    assert counts["utterances"] == len(lines)
