"""``prepare ravdess``: names, what is left out, identical and stereo files, real recordings."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from acted_speech import RATE, acted, make_ravdess

from speechkit.corpora.ravdess import CORPUS, GENDER
from speechkit.kaldi.data import read_table
from speechkit.workdir.manifest import read_manifest

FIRST = "Actor_01/03-01-01-01-01-01-01.wav"


@pytest.fixture
def corpus(tmp_path):
    return make_ravdess(tmp_path, actors=2)


def prepare(run, corpus, *more):
    return run("prepare", "ravdess", corpus, "-C", corpus.parent, "-j", 1, *more)


def test_fields_of_a_name(tmp_path):
    name = CORPUS.parse(tmp_path / "03-01-06-01-02-01-12.wav")
    assert name.labels == {"emotion": "fearful", "intensity": "normal", "statement": "dogs"}
    assert (name.speaker, GENDER[name.speaker]) == ("actor12", "f")
    assert name.text == "Dogs are sitting by the door"
    strong = CORPUS.parse(tmp_path / "03-01-08-02-01-02-07.flac")
    assert strong.labels == {"emotion": "surprised", "intensity": "strong", "statement": "kids"}
    assert GENDER[strong.speaker] == "m"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("03-01-09-01-01-01-01", "emotion code '09'"),
        ("03-01-00-01-01-01-01", "emotion code '00'"),
        ("03-01-01-03-01-01-01", "intensity code '03'"),
        ("03-01-01-01-03-01-01", "statement code '03'"),
        ("03-01-01-01-01-03-01", "repetition code '03'"),
        ("03-01-01-01-01-01-25", "speaker code '25'"),
    ],
)
def test_codes_outside_the_corpus(run, corpus, name, what):
    (corpus / FIRST).rename(corpus / f"Actor_01/{name}.wav")
    done = prepare(run, corpus)
    assert done.code == 2 and what in done.err and "Accepted: 01 to" in done.err
    assert not (corpus.parent / "data").exists()


def test_tables(run, corpus):
    done = prepare(run, corpus, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["utterances"] == 12
    folder = corpus.parent / "data/ravdess"
    name = "actor02-03-01-03-01-02-01-02"
    assert read_table(folder / "utt2emotion")[name] == "happy"
    assert read_table(folder / "utt2intensity")[name] == "normal"
    assert read_table(folder / "utt2statement")[name] == "dogs"
    assert read_table(folder / "text")[name] == "Dogs are sitting by the door"
    assert read_table(folder / "spk2gender") == {"actor01": "m", "actor02": "f"}
    assert run("validate", "-C", corpus.parent).code == 0
    assert "up to date" in prepare(run, corpus).err


def test_songs_videos_and_other_names_are_left_out_and_counted(run, corpus):
    first = corpus / FIRST
    shutil.copy(first, first.with_name("03-02-01-01-01-01-01.wav"))
    shutil.copy(first, first.with_name("01-01-01-01-01-01-01.wav"))
    first.with_name("02-01-01-01-01-01-01.mp4").write_bytes(b"video")
    shutil.copy(first, first.with_name("notes.wav"))
    (corpus / "copy").mkdir()
    shutil.copy(first, corpus / "copy" / first.name)  # as a well-known second upload has it
    done = prepare(run, corpus)
    assert done.code == 0, done.err
    left_out = read_manifest(corpus.parent / "data/ravdess")["left_out"]
    assert left_out == {
        "song files": 1,
        "video files": 2,
        "files without a name of RAVDESS": 1,
        "second copies of a file": 1,
    }
    assert "left out: song files (1)" in done.err
    assert len(read_table(corpus.parent / "data/ravdess/wav.scp")) == 12


def test_one_name_with_two_contents(run, corpus):
    (corpus / "more").mkdir()
    soundfile.write(corpus / "more" / (corpus / FIRST).name, acted(1, 1, 99), RATE)
    done = prepare(run, corpus)
    assert done.code == 2 and "have one name, but are not the same" in done.err


def test_identical_audio_and_several_channels_are_noted(run, corpus):
    one, other = corpus / FIRST, corpus / "Actor_01/03-01-03-01-01-01-01.wav"
    samples, rate = soundfile.read(one)
    soundfile.write(other, samples, rate, format="FLAC")  # the same samples, another file
    stereo = corpus / "Actor_02/03-01-01-01-01-01-02.wav"
    samples, rate = soundfile.read(stereo)
    soundfile.write(stereo, np.stack([samples, samples], 1), rate)
    done = prepare(run, corpus)
    assert done.code == 0, done.err
    notes = read_manifest(corpus.parent / "data/ravdess")
    assert notes["identical_audio"] == [
        "actor01-03-01-01-01-01-01-01 = actor01-03-01-03-01-01-01-01"
    ]
    assert notes["several_channels"] == ["actor02-03-01-01-01-01-01-02"]
    assert "the same audio (1)" in done.err and "several channels (1)" in done.err


def test_a_folder_without_ravdess_names(run, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    soundfile.write(folder / "hello.wav", acted(1, 1, 0), RATE)
    done = run("prepare", "ravdess", folder, "-C", tmp_path)
    assert done.code == 2
    assert (
        "No speech recording of RAVDESS" in done.err
        and "files without a name of RAVDESS: 1" in done.err
    )
    assert "03-01-06-01-02-01-12.wav" in done.err
    assert run("prepare", "ravdess", tmp_path / "absent", "-C", tmp_path).code == 2


def test_only_songs(run, corpus):
    for file in corpus.rglob("*.wav"):
        file.rename(file.with_name(file.name.replace("03-01-", "03-02-", 1)))
    done = prepare(run, corpus)
    assert done.code == 2 and "song files: 12" in done.err


def test_a_broken_recording(run, corpus):
    (corpus / FIRST).write_bytes(b"")
    done = prepare(run, corpus)
    assert done.code == 2 and "is empty" in done.err
    done = prepare(run, corpus, "--on-error", "skip")
    assert done.code == 0 and len(read_table(corpus.parent / "data/ravdess/utt2emotion")) == 11


def test_real_recordings(run, real_data, tmp_path):
    done = run("prepare", "ravdess", real_data / "ravdess", "-C", tmp_path, "-j", 1)
    assert done.code == 0, done.err
    folder = tmp_path / "data/ravdess"
    labels = list(read_table(folder / "utt2emotion").values())
    assert len(labels) == 960 and labels.count("neutral") == 64 and labels.count("sad") == 128
    pair = "actor07-03-01-03-01-02-01-07 = actor07-03-01-03-01-02-02-07"
    assert read_manifest(folder)["identical_audio"] == [pair]
