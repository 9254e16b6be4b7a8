"""``prepare folder --labels``: labels by utterance or path, and tables that do not fit."""

import pytest
import soundfile
from acted_speech import RATE, acted

from speechkit.kaldi.data import read_table
from speechkit.labels.emotions import load
from speechkit.workdir import WorkDir


@pytest.fixture
def folder(tmp_path):
    for speaker in ("ann", "bob"):
        for clip in ("a", "b"):
            path = tmp_path / "own" / speaker / f"{clip}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, acted(1, 1, 0), RATE)
    return tmp_path / "own"


def prepare(run, folder, table, *more):
    labels = folder.parent / "labels.tsv"
    labels.write_text(table, encoding="utf-8")
    flags = ("-C", folder.parent, "--set", "own", "--labels", labels, *more)
    return run("prepare", "folder", folder, *flags)


TABLES = {
    "ids": "ann-a\tangry\nann-b\tsad\nbob-a\tvery  angry\nbob-b\tsad\n",
    "header": "utt\temotion\nann-a\tangry\nann-b\tsad\nbob-a\tvery angry\nbob-b\tsad\n",
    "paths": "path\temotion\nann/a.wav\tangry\nann/b.wav\tsad\nbob/a.wav\tvery angry\n"
    "own/bob/b.wav\tsad\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_labels(run, folder, table):
    done = prepare(run, folder, table)
    assert done.code == 0, done.err
    found = read_table(folder.parent / "data/own/utt2emotion")
    assert found == {"ann-a": "angry", "ann-b": "sad", "bob-a": "very angry", "bob-b": "sad"}
    assert "up to date" in prepare(run, folder, table).err


def test_further_columns(run, folder):
    table = "utt\temotion\tintensity\tstatement\nann-a\tx\thigh\tone\nbob-a\ty\t\ttwo\n"
    done = prepare(run, folder, table)
    assert done.code == 0 and "2 utterances have no label" in done.err
    own = folder.parent / "data/own"
    assert read_table(own / "utt2statement") == {"ann-a": "one", "bob-a": "two"}
    assert read_table(own / "utt2intensity") == {"ann-a": "high"}
    assert set(read_table(own / "wav.scp")) == {"ann-a", "bob-a"}


def test_labels_follow_a_split(run, folder):
    done = prepare(run, folder, TABLES["ids"], "--split", "train=0.5,test=0.5")
    assert done.code == 0, done.err
    parts = [read_table(folder.parent / f"data/{name}/utt2emotion") for name in ("train", "test")]
    assert sorted(len(part) for part in parts) == [2, 2]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("ann-a\tangry\nann-z\tsad\n", "labels.tsv:2: there is no utterance 'ann-z'"),
        ("ann-a\tangry\nann-a\tsad\n", "labelled twice"),
        ("ann-a angry\n", "labels.tsv:1: expected 'utt<TAB>emotion'"),
        ("utt\tfeeling\nann-a\tsad\n", "the column 'feeling' is not known"),
        ("utt\tintensity\nann-a\tsad\n", "there is no column 'emotion'"),
        ("utt\temotion\tintensity\nann-a\t\tlow\n", "has no emotion"),
        ("\n", "labels no utterance"),
    ],
)
def test_tables_that_do_not_fit(run, folder, table, said):
    done = prepare(run, folder, table)
    assert done.code == 2 and said in " ".join(done.err.split())


def test_no_such_table(run, folder):
    flags = ("-C", folder.parent, "--labels", folder / "no.tsv")
    done = run("prepare", "folder", folder, *flags)
    assert done.code == 2 and "is not a file" in done.err


MIXED = "ann-a\thappy\nann-b\tHappy\nbob-a\thappy\nbob-b\tsad\n"


def test_classes_that_differ_in_case_only_stop(run, folder):
    done = prepare(run, folder, MIXED)
    assert done.code == 2 and not (folder.parent / "data/own").exists()
    for part in ("'Happy' (1), 'happy' (2)", "--label-case lower", "--label-case keep"):
        assert part in done.err
    assert prepare(run, folder, MIXED, "--label-case", "fold").code == 2


@pytest.mark.parametrize(
    ("case", "classes"), [("lower", {"happy", "sad"}), ("keep", {"happy", "Happy", "sad"})]
)
def test_a_flag_decides_about_case(run, folder, case, classes):
    done = prepare(run, folder, MIXED, "--label-case", case)
    assert done.code == 0, done.err
    assert set(read_table(folder.parent / "data/own/utt2emotion").values()) == classes
    assert set(load(WorkDir(folder.parent), "own").classes) == classes
    assert run("validate", "-C", folder.parent).code == 0
    assert (
        run("split", "--set", "own", "--share", 0.5, "--into", "x,y", "-C", folder.parent).code == 0
    )
    assert "up to date" in prepare(run, folder, MIXED, "--label-case", case).err


@pytest.mark.parametrize(
    ("case", "classes"), [("lower", {"happy", "sad"}), ("keep", {"happy", "Happy", "sad"})]
)
def test_a_set_made_by_hand_stops_until_a_flag_decides(run, folder, case, classes):
    assert prepare(run, folder, MIXED.replace("H", "h")).code == 0
    place = folder.parent
    (place / "data/own/utt2emotion").write_text(MIXED.replace("\t", " "))
    train = run("train", "emotion", "--set", "own", "--upstream", "fbank-cnn", "-C", place)
    assert train.code == 2 and "'Happy' (1), 'happy' (2)" in train.err
    assert "validate --fix --set own" in train.err and "--label-case lower" in train.err
    assert run("split-folds", "--set", "own", "-C", place).code == 2
    done = run("validate", "-C", place)
    assert done.code == 2 and "label-case" in done.out
    assert run("validate", "--fix", "-C", place).code == 2
    assert run("validate", "--label-case", case, "-C", place).code == 2
    assert run("validate", "--fix", "--label-case", case, "-C", place).code == 0
    assert set(load(WorkDir(place), "own").classes) == classes
