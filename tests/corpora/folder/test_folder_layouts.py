"""``prepare folder``: class folders, folders called like emotions, those of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.kaldi import data


def write_audio(path: Path, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(120, 0.1, rate), rate)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Six recordings of two actors, in folders of three emotions."""
    for name in ("Happy", "sad", "angry"):
        for actor in ("01", "02"):
            write_audio(tmp_path / "own" / name / f"take-{actor}.wav", 8000 * int(actor))
    return tmp_path / "own"


def prepare(run, path: Path, *more: object):
    return run("prepare", "folder", path, "-C", path.parent / "work", *more)


def said(ran) -> str:
    return " ".join(ran.err.split())


def table(path: Path, name: str, of: str = "train") -> dict[str, str]:
    return data.read_table(path.parent / "work/data" / of / name)


def test_folders_called_like_emotions_stop_until_a_flag_decides(run, own: Path) -> None:
    ran = prepare(run, own)
    assert ran.code == 2 and "Happy (2), angry (2), sad (2)" in said(ran)
    assert "--layout class" in said(ran) and "--layout speaker" in said(ran)
    assert not (own.parent / "work/data").exists()
    ran = prepare(run, own, "--layout", "speaker")
    assert ran.code == 0 and set(table(own, "spk2utt")) == {"Happy", "sad", "angry"}
    assert prepare(run, own, "--layout", "clas").code == 2


@pytest.mark.parametrize("names", [("OAF_Fear", "YAF_disgust"), ("03-angry", "x", "neutral")])
def test_emotions_within_names(run, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_audio(tmp_path / "own" / name / "a.wav")
    ran = prepare(run, tmp_path / "own")
    assert ran.code == 2 and f"{names[0]} (1)" in said(ran)


@pytest.mark.parametrize("names", [("joy", "anna", "ben"), ("Sade", "Angela"), ("calm",)])
def test_names_of_people_are_speakers(run, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_audio(tmp_path / "own" / name / "a.wav")
    assert prepare(run, tmp_path / "own").code == 0


def test_class_folders_whose_speakers_nobody_knows(run, own: Path) -> None:
    ran = prepare(run, own, "--layout", "class")
    assert ran.code == 0, ran.err
    assert "not known of 6 recordings" in said(ran) and "--speaker-pattern" in said(ran)
    assert table(own, "utt2emotion") == {
        "Happy-take-01": "Happy", "Happy-take-02": "Happy", "angry-take-01": "angry",
        "angry-take-02": "angry", "sad-take-01": "sad", "sad-take-02": "sad",
    }  # fmt: skip
    assert len(table(own, "spk2utt")) == 6
    assert "up to date" in prepare(run, own, "--layout", "class").err


def test_class_folders_with_speakers_in_names(run, own: Path) -> None:
    flags = ("--layout", "class", "--speaker-pattern", r"take-(\d+)", "--label-case", "lower")
    ran = prepare(run, own, *flags)
    assert ran.code == 0 and "not known" not in ran.err and "of its own" not in said(ran)
    assert set(table(own, "spk2utt")) == {"01", "02"}
    assert table(own, "utt2emotion")["01-Happy-take-01"] == "happy"


def test_speakers_that_are_taken_for_classes(run, tmp_path: Path) -> None:
    for name in ("Actor_01/a", "Actor_01/b", "Actor_02/a"):
        write_audio(tmp_path / "own" / f"{name}.wav")
    ran = prepare(run, tmp_path / "own", "--layout", "class", "--speaker-pattern", "Actor_([0-9]+)")
    assert ran.code == 0 and "one speaker, of its own" in said(ran)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [("take-(", "is not a pattern"), ("take", "has 0 groups"), ("(t)(a)", "has 2 groups"),
     (r"sad/take-(\d+)", "finds no speaker in 'Happy/take-01.wav'")],
)  # fmt: skip
def test_patterns_that_do_not_fit(run, own: Path, pattern: str, what: str) -> None:
    ran = prepare(run, own, "--layout", "class", "--speaker-pattern", pattern)
    assert ran.code == 2 and what in said(ran) and "--speaker-pattern" in said(ran)


def test_class_folders_that_do_not_fit(run, own: Path) -> None:
    labels = own.parent / "labels.tsv"
    labels.write_text("x\tsad\n")
    ran = prepare(run, own, "--layout", "class", "--labels", labels)
    assert ran.code == 2 and "Leave --labels out" in said(ran)
    write_audio(own / "happy" / "other.wav")
    ran = prepare(run, own, "--layout", "class")
    assert ran.code == 2 and "'Happy' (2), 'happy' (1)" in said(ran)
    write_audio(own / "stray.wav")
    ran = prepare(run, own, "--layout", "class")
    assert (
        ran.code == 2
        and "1 audio file lies outside the classes' subfolders (stray.wav)" in said(ran)
    )


def test_parts_of_class_folders_are_sets(run, own: Path) -> None:
    root = own.parent / "hub"
    for part in ("train", "test"):
        for name in ("happy", "sad"):
            write_audio(root / part / name / f"{part}.wav")
    ran = prepare(run, root)
    assert ran.code == 2 and "happy (2), sad (2)" in said(ran)
    ran = prepare(run, root, "--layout", "class", "--json")
    assert [row["set"] for row in json.loads(ran.out)] == ["train", "test"]
    assert table(root, "utt2emotion", "test") == {"happy-test": "happy", "sad-test": "sad"}
    ran = prepare(run, root, "--layout", "class", "--split", "a=0.5,b=0.5")
    assert ran.code == 2 and "--split is for one set" in said(ran) and str(root / "t") in ran.err


CSV = 'file_name,transcription,speaker_id,extra\naudio/a.wav,hello,7,1\nb.wav,"well, yes",8,2\n'
JSONL = "\n".join(
    json.dumps({"file_name": name, "transcription": text, "speaker_id": who, "extra": 1})
    for name, text, who in (("audio/a.wav", "hello", 7), ("b.wav", "well, yes", 8))
)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    write_audio(tmp_path / "hub" / "audio" / "a.wav")
    write_audio(tmp_path / "hub" / "b.wav", 16000)
    return tmp_path / "hub"


@pytest.mark.parametrize(("name", "text"), [("metadata.csv", CSV), ("metadata.jsonl", JSONL)])
def test_metadata(run, hub: Path, name: str, text: str) -> None:
    (hub / name).write_text(text)
    write_audio(hub / "audio" / "other.wav")
    ran = prepare(run, hub)
    assert ran.code == 0, ran.err
    assert "does not list 1 recording, as" in said(ran) and "not read: extra" in said(ran)
    assert table(hub, "text") == {"7-a": "hello", "8-b": "well, yes"}
    assert table(hub, "wav.scp")["7-a"] == str(hub / "audio" / "a.wav")


def test_metadata_without_speakers_and_with_labels(run, hub: Path) -> None:
    (hub / "metadata.csv").write_text("file_name,label,path\naudio/a.wav,sad,x\nb.wav,happy,y\n")
    ran = prepare(run, hub)
    assert ran.code == 0 and "not known of 2 recordings" in said(ran)
    assert table(hub, "utt2emotion") == {"audio-a": "sad", "b": "happy"}


def test_metadata_of_parts(run, tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_audio(tmp_path / "hub" / part / "a.wav")
        (tmp_path / "hub" / part / "metadata.csv").write_text("file_name,speaker\na.wav,anna\n")
    ran = prepare(run, tmp_path / "hub", "--set", "mine")
    assert ran.code == 0, ran.err
    for part in ("train", "test"):
        assert set(table(tmp_path / "hub", "utt2spk", f"mine_{part}")) == {"anna-a"}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"metadata.csv": "file_name,text\n../../secret.wav,x\n"}, "metadata.csv:2: '../../secret"),
        ({"metadata.csv": "file_name\n/etc/passwd\n"}, "lies outside of"),
        ({"metadata.csv": "file_name\naudio/../../x.wav\n"}, "lies outside of"),
        ({"metadata.csv": "file_name,text\nnone.wav,x\n"}, "none.wav: No such file"),
        ({"metadata.csv": "path,text\nb.wav,x\n"}, "there is no column 'file_name'"),
        ({"metadata.csv": 'file_name,text\nb.wav,"x\n'}, "metadata.csv:2: this row is no CSV"),
        ({"metadata.csv": "file_name\n"}, "lists no audio"),
        ({"metadata.jsonl": '{"file_name": "b.wav"}\n{"text": "x"}\n'}, "metadata.jsonl:2: there"),
        ({"metadata.csv": "file_name\nb.wav\n", "metadata.jsonl": "{}"}, "Remove one of them"),
        ({"metadata.parquet": "PAR1"}, "is not read. Convert it"),
    ],
)
def test_metadata_that_does_not_fit(run, hub: Path, files: dict[str, str], what: str) -> None:
    for name, text in files.items():
        (hub / name).write_text(text)
    ran = prepare(run, hub)
    assert ran.code == 2 and what in said(ran), ran.err
    assert not (hub.parent / "work/data/train").exists()


def test_tables_whose_paths_say_who_speaks(run, own: Path) -> None:
    lines = "path,emotion\nown/sad/take-01.wav,sad\nown/Happy/take-02.wav,happy\n"
    (own.parent / "list.csv").write_text(lines)
    ran = prepare(
        run, own.parent / "list.csv", "--speaker-pattern", r"take-(\d+)", "-C", own.parent
    )
    assert ran.code == 0, ran.err
    found = data.read_table(own.parent / "data/train/utt2emotion")
    assert found == {"01-own-sad-take-01": "sad", "02-own-Happy-take-02": "happy"}
