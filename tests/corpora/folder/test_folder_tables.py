"""``prepare folder TABLE``: CSV and JSON lines, names of columns, rows that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.base.errors import UserError
from speechkit.corpora.folder.tables import read_table
from speechkit.kaldi import data


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Three recordings in ``wav/``, of different rates."""
    for name, rate in (("a", 8000), ("b", 16000), ("c", 44100)):
        path = tmp_path / "wav" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, voice(120, 0.2, rate), rate)
    return tmp_path


def prepare(run, own: Path, text: str, name: str = "list.csv", *more: object):
    (own / name).write_text(text, encoding="utf-8")
    return run("prepare", "folder", own / name, "-C", own / "work", *more)


HEADERS = [
    "Path,Speaker,Text,Sex,Age,Emotion",
    "FILE,speaker id,Transcription,gender,AGE,label",
    "file_name;SPEAKER;sentence;Gender;age;Emotion",
]


@pytest.mark.parametrize("header", HEADERS)
def test_csv_with_a_header_in_any_case(run, own: Path, header: str) -> None:
    mark = ";" if ";" in header else ","
    rows = [
        [header],
        ["wav/a.wav", "anna", '"Well, ""hello"""', "f", "31", "Happy"],
        ["wav/b.wav", "anna", "good day", "F", "31", "sad"],
        ["wav/c.wav", "ben", "", "", "", "sad"],
    ]
    ran = prepare(run, own, "\ufeff" + "\r\n".join(mark.join(row) for row in rows))
    assert ran.code == 0, ran.err
    assert ("separated by semicolons" in ran.err) == (mark == ";")
    folder = own / "work/data/train"
    loaded = data.load(folder, own)
    assert loaded.text == {"anna-a": 'Well, "hello"', "anna-b": "good day"}
    assert loaded.gender == {"anna": "f"} and loaded.age == {"anna": "31"}
    assert loaded.durations == {"anna-a": 0.2, "anna-b": 0.2, "ben-c": 0.2}
    labels = data.read_table(folder / "utt2emotion")
    assert labels == {"anna-a": "Happy", "anna-b": "sad", "ben-c": "sad"}


def test_columns_in_any_order_and_others_beside_them(run, own: Path) -> None:
    text = "Speaker,Take,Path,Note,Text\nanna,7,wav/a.wav,not this,hello\n"
    ran = prepare(run, own, text)
    assert ran.code == 0 and "columns that are not read: Take, Note." in ran.err
    assert data.load(own / "work/data/train", own).text == {"anna-a": "hello"}


def test_csv_without_a_header(run, own: Path) -> None:
    ran = prepare(run, own, 'wav/a.wav,anna,"hello, there"\nwav/b.wav,ben,\n')
    assert ran.code == 0 and data.load(own / "work/data/train", own).text == {
        "anna-a": "hello, there"
    }


def test_tables_beside_it_may_be_csv(run, own: Path) -> None:
    (own / "gender.csv").write_text("Speaker,Gender\nanna,f\n")
    (own / "labels.csv").write_text("utt,emotion\nanna-a,very angry\n")
    flags = ("--gender", own / "gender.csv", "--labels", own / "labels.csv")
    ran = prepare(run, own, "wav/a.wav,anna\n", "list.csv", *flags)
    assert ran.code == 0, ran.err
    assert data.read_table(own / "work/data/train/utt2emotion") == {"anna-a": "very angry"}
    assert data.load(own / "work/data/train", own).gender == {"anna": "f"}


def test_labels_that_differ_in_case_stop(run, own: Path) -> None:
    text = "path,speaker,emotion\nwav/a.wav,anna,Sad\nwav/b.wav,ben,sad\n"
    ran = prepare(run, own, text)
    assert ran.code == 2 and "'Sad' (1), 'sad' (1)" in ran.err and "--label-case" in ran.err
    assert prepare(run, own, text, "list.csv", "--label-case", "lower").code == 0
    assert set(data.read_table(own / "work/data/train/utt2emotion").values()) == {"sad"}


def test_json_lines(run, own: Path) -> None:
    lines = [
        {"audio_filepath": "wav/a.wav", "speaker": 7, "text": "hello", "duration": 0.2},
        {"audio_filepath": "wav/b.wav", "speaker": "ben", "text": None, "duration": 0.2},
    ]
    ran = prepare(run, own, "\n".join(map(json.dumps, lines)), "list.jsonl")
    assert ran.code == 0 and "columns that are not read: duration." in ran.err
    loaded = data.load(own / "work/data/train", own)
    assert loaded.text == {"7-a": "hello"} and loaded.speakers == ["7", "ben"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Path,FILE,Speaker\na,b,c\n", "list.csv:1: the columns 'Path' and 'FILE' are both the pa"),
        ("File,audio,Speaker\na,b,c\n", "the columns 'File' and 'audio' are both the path."),
        ("path,speaker,speaker\na,b,c\n", "the column 'speaker' comes twice"),
        ("path,speeker\nwav/a.wav,anna\n", "Did you mean 'speaker'?"),
        ("path,text\nwav/a.wav,hi\n", "list.csv:1: there is no column 'speaker'. Columns: path, t"),
        ("path,speaker\nwav/a.wav,anna\nwav/b.wav\n", "list.csv:3: expected 'path,speaker'"),
        ("path,speaker\nwav/a.wav,anna,x,y\n", "found 'wav/a.wav,anna,x,y' (4 cells)"),
        ('path,speaker\nwav/a.wav,"anna\nwav/b.wav,ben\n', "list.csv:2: this row is no CSV"),
        ("wav/a.wav\n", "list.csv:1: expected 'path,speaker,text'"),
        ("path,speaker\nwav/none.wav,anna\n", "wav/none.wav: No such file"),
        ("path,speaker\nwav/a.wav,anna\nwav\\a.wav,anna\n", "list.csv:3: wav\\a.wav: there is no"),
        ("path,speaker,gender\nwav/a.wav,anna,x\n", "list.csv:2: the gender 'x'"),
        ("path,speaker\n", "lists no audio"),
    ],
)
def test_tables_that_do_not_fit(run, own: Path, text: str, said: str) -> None:
    ran = prepare(run, own, text)
    assert ran.code == 2 and said in " ".join(ran.err.split()), ran.err
    assert "Traceback" not in ran.err and not (own / "work/data/train").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"path": "a.wav", "speaker": "x"}\n{"path": \n', "list.jsonl:2 cannot be read as JSON"),
        ("[1]\n", "list.jsonl:1"),
        ('{"path": "a.wav", "speaker": ["x"]}\n', "list.jsonl:1: 'speaker' is no text"),
        ('{"path": "a.wav", "speaker": "x"}\n\n{"path": "b.wav"}\n', "list.jsonl:3: there is no s"),
        ('{"path": ' + "[" * 100 + "]" * 100 + "}", "nested"),
    ],
)
def test_json_lines_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_table(path, "a table")
    assert said in str(caught.value)
