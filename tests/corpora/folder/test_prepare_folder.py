"""Own data: folders and tables, ids, splits, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import soundfile
from conftest import voice
from media_files import KINDS, encode

from speechkit.base import media
from speechkit.base.audio import SUFFIXES
from speechkit.base.errors import UserError
from speechkit.corpora.common import parse_split
from speechkit.kaldi import data


def write_audio(path: Path, seconds: float = 0.2, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(120, seconds, rate), rate)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two speakers: one with audio directly inside, one with sessions of equal file names."""
    root = tmp_path / "own"
    write_audio(root / "anna" / "one.wav", 0.5)
    write_audio(root / "anna" / "anna-two.flac", 0.25)
    write_audio(root / "ben" / "monday" / "1.wav")
    write_audio(root / "ben" / "tuesday" / "1.WAV")
    (root / "ben" / "._1.wav").write_bytes(b"a shadow of macOS")
    (root / "ben" / "notes.txt").write_text("not audio")
    return root


def test_folder_becomes_a_set(own: Path, tmp_path: Path, run) -> None:
    ran = run("prepare", "folder", own, "-C", tmp_path / "work", "--json")
    assert ran.code == 0, ran.err
    loaded = data.load(tmp_path / "work" / "data" / "train", tmp_path / "work")
    assert {u.id: u.wav for u in loaded.utterances} == {
        "anna-one": str(own / "anna" / "one.wav"),
        "anna-two": str(own / "anna" / "anna-two.flac"),
        "ben-monday-1": str(own / "ben" / "monday" / "1.wav"),
        "ben-tuesday-1": str(own / "ben" / "tuesday" / "1.WAV"),
    }
    assert loaded.speakers == ["anna", "ben"]
    assert loaded.durations["anna-one"] == 0.5 and loaded.durations["anna-two"] == 0.25
    assert (loaded.path / "spk2utt").read_text().splitlines()[0] == "anna anna-one anna-two"
    assert not (loaded.path / "text").exists() and not (loaded.path / "spk2gender").exists()
    (row,) = json.loads(ran.out)
    assert row["utterances"] == 4 and row["speakers"] == 2 and row["female"] is row["male"] is None
    assert row["hours"] == pytest.approx(1.15 / 3600, abs=1e-4)


def test_texts_beside_recordings(own: Path, tmp_path: Path, run) -> None:
    (own / "anna" / "one.txt").write_text("\ufeffGood\u00a0morning,\n Ben.\n")
    (own / "ben" / "monday" / "1.LAB").write_text("HELLO")
    (own / "anna" / "anna-two.lab").write_text("0 46797 sil\n46797 50000 good\n")  # HTK, TIMIT
    command = ("prepare", "folder", own, "-C", tmp_path / "work")
    ran = run(*command)
    assert ran.code == 0 and "2 recordings have no text beside it" in " ".join(ran.err.split())
    table = tmp_path / "work" / "data" / "train" / "text"
    assert table.read_text() == "anna-one Good morning, Ben.\nben-monday-1 HELLO\n"
    assert "up to date" in run(*command).err
    (own / "anna" / "one.txt").write_text("Good evening")
    assert run(*command).code == 0 and "Good evening" in table.read_text()
    (own / "anna" / "one.txt").write_bytes(b"caf\xe9")
    ran = run(*command)
    assert ran.code == 2 and "one.txt is not UTF-8" in " ".join(ran.err.split())


def test_a_table_in_the_folder_is_named(own: Path, tmp_path: Path, run) -> None:
    command = ("prepare", "folder", own, "-C", tmp_path / "work")
    assert "is not read" not in run(*command).err
    (own / "corpus.CSV").write_text("path,speaker,text\nanna/one.wav,anna,hello\n")
    ran = run(*command)
    assert ran.code == 0 and "corpus.CSV is not read." in " ".join(ran.err.split())
    assert run("prepare", "folder", own / "corpus.CSV", "-C", tmp_path / "listed").code == 0


def test_again_is_up_to_date_until_a_file_changes(own: Path, tmp_path: Path, run) -> None:
    command = ("prepare", "folder", own, "-C", tmp_path / "work")
    run(*command)
    assert "up to date" in run(*command).err
    write_audio(own / "anna" / "three.wav")
    ran = run(*command, "--json")
    assert "up to date" not in ran.err and json.loads(ran.out)[0]["utterances"] == 5
    ran = run("prepare", "folder", own / "anna", "-C", tmp_path / "work")
    assert ran.code == 2  # another folder: audio lies outside speakers' folders


def test_other_parameters_need_force(own: Path, tmp_path: Path, run) -> None:
    work = tmp_path / "work"
    run("prepare", "folder", own, "-C", work)
    copy = Path(shutil.copytree(own, tmp_path / "copy"))
    ran = run("prepare", "folder", copy, "-C", work)
    assert ran.code == 2 and "--force" in ran.err
    assert run("prepare", "folder", copy, "-C", work, "--force").code == 0
    assert str(copy) in (work / "data" / "train" / "wav.scp").read_text()


def test_table_with_and_without_header(own: Path, tmp_path: Path, run) -> None:
    plain = own / "list.tsv"
    plain.write_text(
        f"anna/one.wav\tAnna\tHELLO  THERE\r\n{own / 'ben' / 'monday' / '1.wav'}\tben\tGOOD DAY\r\n"
    )
    assert run("prepare", "folder", plain, "-C", tmp_path / "a", "--set", "mine").code == 0
    loaded = data.load(tmp_path / "a" / "data" / "mine", tmp_path / "a")
    assert loaded.text == {"Anna-one": "HELLO THERE", "ben-1": "GOOD DAY"}

    named = own / "named.tsv"
    named.write_text(
        "path\tspeaker\tgender\tage\tutt\n"
        "ben/monday/1.wav\tben\tMale\t30\tben-mon\nben/tuesday/1.WAV\tben\tm\t30\tben-tue\n"
    )
    assert run("prepare", "folder", named, "-C", tmp_path / "b").code == 0
    loaded = data.load(tmp_path / "b" / "data" / "train", tmp_path / "b")
    assert [u.id for u in loaded.utterances] == ["ben-mon", "ben-tue"]
    assert loaded.gender == {"ben": "m"} and loaded.age == {"ben": "30"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anna/one.wav anna\n", "list.tsv:1: expected 'path<TAB>speaker<TAB>text'"),
        ("path\tspeaker\nanna/one.wav\t\n", "list.tsv:2: expected"),
        ("path\tspeeker\nanna/one.wav\tanna\n", "Did you mean 'speaker'?"),
        ("path\ttext\nanna/one.wav\tHI\n", "no column 'speaker'"),
        ("path\tspeaker\tgender\nanna/one.wav\tanna\tx\n", "the gender 'x' is not known"),
        ("path\tspeaker\tage\nanna/one.wav\tanna\tyoung\n", "the age 'young'"),
        ("path\tspeaker\tage\nanna/one.wav\tanna\t3²\n", "the age '3²'"),
        ("anna/one.wav\tA B\nben/monday/1.wav\tA_B\n", "'A B' and 'A_B' would both be 'A_B'"),
        ("ben/monday/1.wav\tben\nben/tuesday/1.WAV\tben\n", "'ben-1' comes twice"),
        ("anna/none.wav\tanna\n", "No such file"),
        ("cat x.wav |\tanna\n", "cannot stand in wav.scp"),
        ("", "lists no audio"),
        ("\n\n", "lists no audio"),
        (b"anna/one.wav\t\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_bad_tables(own: Path, tmp_path: Path, run, text: str | bytes, said: str) -> None:
    table = own / "list.tsv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    ran = run("prepare", "folder", table, "-C", tmp_path / "work")
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "work" / "data" / "train").exists()


def test_bad_folders(own: Path, tmp_path: Path, run) -> None:
    def fails(path: Path, said: str) -> None:
        ran = run("prepare", "folder", path, "-C", tmp_path / "work")
        assert ran.code == 2 and said in ran.err, ran.err

    fails(tmp_path / "nowhere", "does not exist")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "is an empty folder")
    fails(own / "anna" / "one.wav", "is one audio file")
    fails(own / "anna", "2 audio files lie outside the speakers' subfolders (anna-two.flac)")
    (tmp_path / "silent" / "carl").mkdir(parents=True)
    (tmp_path / "silent" / "carl" / "talk.wma").write_bytes(b"x")
    fails(tmp_path / "silent", "No audio was found")
    write_audio(own / "anna" / "one.flac")
    fails(own, "'anna-one' comes twice")


def test_broken_audio_is_named_and_can_be_skipped(own: Path, tmp_path: Path, run) -> None:
    (own / "anna" / "empty.wav").write_bytes(b"")
    (own / "ben" / "text.wav").write_text("this is not audio at all")
    whole = (own / "anna" / "one.wav").read_bytes()
    (own / "ben" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    work = tmp_path / "work"
    ran = run("prepare", "folder", own, "-C", work)
    assert ran.code == 2 and "anna-empty" in ran.err and "0 bytes" in ran.err
    assert not (work / "data" / "train").exists()

    ran = run("prepare", "folder", own, "-C", work, "--on-error", "skip", "--json")
    assert ran.code == 0
    (row,) = json.loads(ran.out)
    assert row["skipped"] == 3 and row["utterances"] == 4
    lines = (work / "data" / "train" / "skipped.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["utt", "anna-empty", "ben-cut", "ben-text"]
    assert "cut short" in lines[2] and "text.wav" in lines[3]
    assert "anna-empty" not in (work / "data" / "train" / "utt2spk").read_text()


def test_nothing_usable_is_an_error(tmp_path: Path, run) -> None:
    (tmp_path / "own" / "anna").mkdir(parents=True)
    (tmp_path / "own" / "anna" / "a.wav").write_bytes(b"")
    ran = run("prepare", "folder", tmp_path / "own", "-C", tmp_path, "--on-error", "skip")
    assert ran.code == 2 and "no usable audio: all (1) are broken" in ran.err


def test_names_with_spaces_are_mapped_and_said(tmp_path: Path, run) -> None:
    write_audio(tmp_path / "own" / "Anna B" / "take 1.wav")
    ran = run("prepare", "folder", tmp_path / "own", "-C", tmp_path)
    assert ran.code == 0 and "'Anna B' is 'Anna_B'" in ran.err
    loaded = data.load(tmp_path / "data" / "train", tmp_path)
    (utterance,) = loaded.utterances
    assert (utterance.id, utterance.speaker) == ("Anna_B-take_1", "Anna_B")
    assert Path(utterance.wav).is_file()  # the path itself keeps its spaces


def test_links_to_folders_are_followed_and_loops_end(own: Path, tmp_path: Path, run) -> None:
    (own / "ben" / "again").symlink_to(own / "ben")
    (tmp_path / "farm").mkdir()
    (tmp_path / "farm" / "ben").symlink_to(own / "ben")
    ran = run("prepare", "folder", tmp_path / "farm", "-C", tmp_path, "--json")
    assert ran.code == 0 and json.loads(ran.out)[0]["utterances"] == 2


def test_unreadable_folder(own: Path, tmp_path: Path, run) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (own / "ben").chmod(0)
    try:
        ran = run("prepare", "folder", own, "-C", tmp_path)
    finally:
        (own / "ben").chmod(0o755)
    assert ran.code == 2 and "cannot be read: Permission denied" in ran.err


def test_split_is_by_speaker_balanced_and_fixed_by_the_seed(tmp_path: Path, run) -> None:
    genders = {f"s{k:02d}": "mf"[k % 2] for k in range(20)}
    for speaker in genders:
        write_audio(tmp_path / "own" / speaker / "a.wav", 0.05)
        write_audio(tmp_path / "own" / speaker / "b.wav", 0.05)
    table = tmp_path / "genders.tsv"
    table.write_text("speaker\tgender\n" + "".join(f"{s}\t{g}\n" for s, g in genders.items()))

    def split(seed: int, work: str) -> dict[str, list[str]]:
        ran = run(
            *("prepare", "folder", tmp_path / "own", "-C", tmp_path / work, "--seed", seed),
            *("--split", "train=0.6,dev=0.2,test=0.2", "--gender", table),
        )
        assert ran.code == 0, ran.err
        sets = {name: data.load(tmp_path / work / "data" / name, tmp_path) for name in shares}
        assert all(len(s.utterances) == 2 * len(s.speakers) for s in sets.values())
        for name, made in sets.items():
            assert made.gender == {speaker: genders[speaker] for speaker in made.speakers}
            assert list(made.gender.values()).count("f") == shares[name] // 2
        return {name: made.speakers for name, made in sets.items()}

    shares = {"train": 12, "dev": 4, "test": 4}
    first = split(1, "a")
    assert {name: len(speakers) for name, speakers in first.items()} == shares
    assert sorted(s for speakers in first.values() for s in speakers) == sorted(
        genders
    )  # all of them, each once
    assert split(1, "b") == first
    assert split(2, "c") != first


def test_split_that_leaves_a_set_empty(own: Path, tmp_path: Path, run) -> None:
    ran = run("prepare", "folder", own, "-C", tmp_path, "--split", "train=0.8,dev=0.1,test=0.1")
    assert ran.code == 2 and "2 speakers are too few" in ran.err


@pytest.mark.parametrize(
    "text", ["train", "train=x", "a=0.5,a=0.5", "a=0.5,b=0.6", "a=0,b=1", "=1"]
)
def test_bad_split(text: str) -> None:
    with pytest.raises(UserError, match="`split`"):
        parse_split(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("anna m\n", "genders.tsv:1: expected"), ("anna\tm\nanna\tf\n", "two genders")],
)
def test_bad_gender_file(own: Path, tmp_path: Path, run, text: str, said: str) -> None:
    table = tmp_path / "genders.tsv"
    table.write_text(text)
    ran = run("prepare", "folder", own, "-C", tmp_path, "--gender", table)
    assert ran.code == 2 and said in ran.err


@pytest.mark.parametrize("name", ["a b", "../up", ".hidden", ""])
def test_bad_set_name(own: Path, tmp_path: Path, run, name: str) -> None:
    ran = run("prepare", "folder", own, "-C", tmp_path, "--set", name)
    assert ran.code == 2 and "cannot be the name of a set" in ran.err


def test_order_that_kaldi_refuses_is_said(tmp_path: Path, run) -> None:
    write_audio(tmp_path / "own" / "a" / "z.wav")
    write_audio(tmp_path / "own" / "a!" / "b.wav")  # '!' sorts before '-'
    ran = run("prepare", "folder", tmp_path / "own", "-C", tmp_path)
    assert ran.code == 0 and "the speakers are not sorted" in ran.err


def test_all_formats_are_read_and_the_others_counted(tmp_path: Path, run) -> None:
    root = tmp_path / "own"
    kinds = {
        ".wav": "WAV", ".wave": "WAV", ".bwf": "WAV", ".rf64": "RF64", ".w64": "W64",
        ".flac": "FLAC", ".ogg": "OGG", ".oga": "OGG", ".opus": "OGG", ".mp3": "MP3",
        ".mpga": "MP3", ".aif": "AIFF", ".aiff": "AIFF", ".aifc": "AIFF", ".au": "AU",
        ".snd": "AU", ".caf": "CAF", ".voc": "VOC", ".sph": "NIST", ".nist": "NIST",
        ".sf": "IRCAM", ".ircam": "IRCAM", ".paf": "PAF", ".pvf": "PVF", ".avr": "AVR",
        ".svx": "SVX", ".8svx": "SVX", ".wve": "WVE", ".mp1": "MP3", ".mp2": "MP3",
    }  # fmt: skip
    assert set(kinds) == set(SUFFIXES)
    for ending, form in kinds.items():
        path = root / "anna" / f"a{ending[1:]}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(120, 0.5, 8000), 8000, format=form)
    for name in ("one.wma", "two.WMA", "awav.avi", "x.ac3"):
        (root / "anna" / name).write_bytes(b"\0\0\0\x20")
    (root / "ben").mkdir()
    (root / "ben" / "b.wma").write_bytes(b"\0\0\0\x20")
    (root / "anna" / "notes.txt").write_text("no audio")
    ran = run("prepare", "folder", root, "-C", tmp_path / "work", "--json")
    assert ran.code == 0, ran.err
    (row,) = json.loads(ran.out)
    assert row["utterances"] == len(kinds) and row["skipped"] == 5 and row["speakers"] == 1
    assert "5 in formats that are not read (1 .ac3, 1 .avi, 3 .wma;" in ran.err
    assert "ffmpeg" in ran.err and "ben: no audio that can be read" in ran.err
    folder = tmp_path / "work" / "data" / "train"
    lines = (folder / "skipped.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[0] for line in lines] == [
        "anna-awav.avi", "anna-one.wma", "anna-two.WMA", "anna-x.ac3", "ben-b.wma",
    ]  # fmt: skip
    durations = data.load(folder, tmp_path).durations
    assert all(0.45 < seconds < 0.7 for seconds in durations.values())


def test_a_folder_of_formats_that_are_not_read(tmp_path: Path, run, monkeypatch) -> None:
    monkeypatch.setattr(media, "installed", lambda: False)
    root = tmp_path / "own"
    (root / "anna").mkdir(parents=True)
    (root / "anna" / "one.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    ran = run("prepare", "folder", root, "-C", tmp_path / "work")
    assert ran.code == 2 and "1 .m4a; one.m4a" in ran.err and "ffmpeg" in ran.err
    assert "python -m pip install" in ran.err and "av" in ran.err
    write_audio(root / "ben" / "one.wav")
    write_audio(root / "cora" / "one.wav")
    (root / "top.webm").write_bytes(b"x")
    labels = tmp_path / "labels.tsv"
    labels.write_text("ben/one.wav\thappy\ncora/one.wav\tsad\nanna/one.m4a\tsad\n")
    split = ("--split", "train=0.5,test=0.5", "--labels", labels)
    ran = run("prepare", "folder", root, "-C", tmp_path / "work", *split, "--json")
    assert ran.code == 0, ran.err
    assert [row["skipped"] for row in json.loads(ran.out)] == [1, 0]
    assert "2 in formats that are not read (1 .m4a, 1 .webm;" in ran.err


def test_recordings_of_phones_and_browsers(tmp_path: Path, run) -> None:
    pytest.importorskip("av")
    root = tmp_path / "own"
    for name in ("m4a", "webm", "amr"):
        rate = KINDS[name][2]
        path = root / "anna" / f"{name}.{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(voice(120, 1.0, rate), name))
    write_audio(root / "anna" / "wav.wav", 1.0)
    ran = run("prepare", "folder", root, "-C", tmp_path / "work")
    assert ran.code == 0, ran.err
    durations = data.load(tmp_path / "work/data/train", tmp_path).durations
    assert durations == {"anna-amr": 1.02, "anna-m4a": 1, "anna-wav": 1, "anna-webm": 1}
    assert run("validate", "--decode", "-C", tmp_path / "work").code == 0
    ran = run("extract-prosody", "-C", tmp_path / "work", "-j", 1)
    assert ran.code == 0, ran.err
    found = (tmp_path / "work/exp/prosody/train/prosody.tsv").read_text().splitlines()[1:]
    pitch = [float(line.split("\t")[1]) for line in found]
    assert len(pitch) == 4 and all(abs(hertz - 120) < 3 for hertz in pitch)
