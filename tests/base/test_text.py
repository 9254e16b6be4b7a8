"""Names in one form, what of a text can be seen, encodings, and marks that are not said."""

import re
import subprocess
import unicodedata
from pathlib import Path

import pytest
import soundfile
from conftest import make_set, voice

from speechkit.base.errors import AudioError, DataError, UserError
from speechkit.base.text import (
    composed,
    dropped_marks,
    find_marks,
    on_disk,
    read_lines,
    read_text,
    spelled,
    visible,
    without_marks,
)
from speechkit.corpora.check import fix, validate
from speechkit.kaldi import data
from speechkit.kaldi.data import read_table
from speechkit.phone_features.recordings import read_trans
from speechkit.workdir import WorkDir, check_name

ONE, TWO = "José", unicodedata.normalize("NFD", "José")
assert ONE != TWO


def test_forms():
    assert composed(TWO) == composed(ONE) == ONE
    assert spelled(TWO) == "Jose\\u0301" and spelled(ONE) == ONE
    assert composed("a\udcff") == "a\udcff"


@pytest.mark.parametrize("there", [ONE, TWO])
@pytest.mark.parametrize("asked", [ONE, TWO])
def test_a_file_is_found_in_either_form(tmp_path, there, asked):
    (tmp_path / there / f"{there}-é").mkdir(parents=True)
    found = on_disk(tmp_path / asked / f"{asked}-é")
    assert found == tmp_path / there / f"{there}-é" and found.is_dir()


def test_a_file_that_is_not_there_keeps_its_path(tmp_path):
    for name in (ONE, TWO, "a\0é", "é" * 300):
        assert on_disk(tmp_path / name) == tmp_path / name


def test_both_forms_on_the_disk_are_two_files(tmp_path):
    for name in (ONE, TWO):
        (tmp_path / name).write_text(name, encoding="utf-8")
        assert on_disk(tmp_path / name).read_text(encoding="utf-8") == name


def write_mixed(folder: Path) -> Path:
    """A set whose tables write José in both forms; its audio has the second on the disk."""
    (folder / "wav").mkdir(parents=True)
    soundfile.write(folder / "wav" / f"{TWO}-1.wav", voice(120, 0.5), 16000)
    root = folder.parents[1]
    wav = (folder / "wav" / f"{ONE}-1.wav").relative_to(root)
    lines = {
        "wav.scp": [f"{ONE}-1 {wav}", f"{ONE}-2 {wav}"],
        "utt2spk": [f"{TWO}-1 {TWO}", f"{ONE}-2 {ONE}"],
        "text": [f"{TWO}-1 CAF{TWO[-2:].upper()}", f"{TWO}-2 CAFÉ"],
        "spk2gender": [f"{TWO} m"],
        "utt2emotion": [f"{ONE}-1 {TWO}", f"{TWO}-2 {ONE}"],
        "utterance_scores.tsv": ["utt\ttotal", f"{TWO}-1\t8", f"{ONE}-2\t9"],
    }
    for name, rows in lines.items():
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_a_set_in_both_forms_is_read_as_one(tmp_path):
    found = data.load(write_mixed(tmp_path / "data/a"), tmp_path)
    assert {u.id for u in found.utterances} == {f"{ONE}-1", f"{ONE}-2"}
    assert found.speakers == [ONE] and found.gender == {ONE: "m"}
    assert set(found.text.values()) == {"CAFÉ"}
    assert all(Path(u.wav).is_file() for u in found.utterances)
    assert set(read_table(tmp_path / "data/a/utt2emotion").values()) == {ONE}


def test_validate_reports_the_forms_and_fix_writes_one(tmp_path):
    folder = write_mixed(tmp_path / "data/a")
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    report = validate.check(folder, tmp_path)
    assert {p.kind for p in report.problems if p.level == "error"} <= {"unsorted"}
    forms = {p.file.name: p.message for p in report.problems if p.kind == "form"}
    assert set(forms) == {"utt2spk", "text", "spk2gender", "utt2emotion", "utterance_scores.tsv"}
    assert "Jose\\u0301" in forms["utt2spk"] and "José" in forms["utt2spk"]
    actions = [str(action) for action in fix.fix(folder, tmp_path)]
    assert any("composed form" in action for action in actions)
    for path in folder.iterdir():
        if path.is_file() and path.name != "wav.scp":
            text = path.read_text(encoding="utf-8")
            assert unicodedata.is_normalized("NFC", text), path
    for name in ("text", "utterance_scores.tsv"):
        assert (folder / ".backup" / name).read_bytes() == before[name]
    assert not [p for p in validate.check(folder, tmp_path).problems if p.kind != "no-gender"]
    assert fix.fix(folder, tmp_path) == []


def test_two_utterances_that_become_one_are_named_and_left(tmp_path):
    folder = write_mixed(tmp_path / "data/a")
    lines = f"{ONE}-1 data/a/wav/x.wav\n{TWO}-1 data/a/wav/y.wav\n"
    (folder / "wav.scp").write_text(lines, encoding="utf-8")
    found = {p.kind: p for p in validate.check(folder, tmp_path).problems}
    assert found["one-name"].level == "error" and found["one-name"].line == 2
    assert "José-1" in found["one-name"].message and "Jose\\u0301-1" in found["one-name"].message
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(UserError, match="one name"):
        fix.fix(folder, tmp_path)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(DataError, match="comes twice"):
        data.load(folder, tmp_path)


def own(tmp_path, *files):
    for file in files:
        (tmp_path / "own" / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "own" / file, voice(120, 0.5), 16000)
    return tmp_path / "own"


def test_a_speaker_in_two_forms_is_never_parted(tmp_path, run):
    folder = own(tmp_path, f"{ONE}/a.wav", f"{TWO}/b.wav", "ann/a.wav", "bob/b.wav")
    done = run("prepare", "folder", folder, "--split", "train=0.5,test=0.5", "-C", tmp_path)
    assert done.code == 0 and "are one speaker" in done.err, done.err
    speakers = [set(read_table(tmp_path / f"data/{s}/utt2spk").values()) for s in ("train", "test")]
    assert not speakers[0] & speakers[1] and ONE in speakers[0] | speakers[1]
    assert TWO not in (tmp_path / "data/train/utt2spk").read_text(encoding="utf-8")


def test_two_files_that_become_one_utterance_are_named(tmp_path, run):
    folder = own(tmp_path, f"{ONE}/a.wav", f"{TWO}/a.wav")
    done = run("prepare", "folder", folder, "-C", tmp_path)
    assert done.code == 2 and "comes twice" in done.err
    assert f"{ONE}/a.wav" in done.err and f"{TWO}/a.wav" in done.err


def test_tables_name_files_and_utterances_in_either_form(tmp_path, run):
    folder = own(tmp_path, f"x/{TWO}.wav", "x/b.wav")
    table = tmp_path / "own.tsv"
    table.write_text(f"own/x/{ONE}.wav\t{ONE}\tCAF{TWO[-2:]}\nown/x/b.wav\t{TWO}\n", "utf-8")
    labels, gender = tmp_path / "labels.tsv", tmp_path / "gender.tsv"
    labels.write_text(f"own/x/{ONE}.wav\tsad\n{TWO}-b\thappy\n", "utf-8")
    gender.write_text(f"{TWO}\tm\n", "utf-8")
    flags = ("--labels", labels, "--gender", gender, "--set", TWO, "-C", tmp_path)
    done = run("prepare", "folder", table, *flags)
    assert done.code == 0, done.err
    made = tmp_path / "data" / ONE
    assert read_table(made / "utt2emotion") == {f"{ONE}-{ONE}": "sad", f"{ONE}-b": "happy"}
    assert read_table(made / "spk2gender") == {ONE: "m"}
    assert Path(read_table(made / "wav.scp")[f"{ONE}-{ONE}"]) == folder / "x" / f"{TWO}.wav"
    assert run("validate", "--set", TWO, "-C", tmp_path).code == 0


def test_a_set_is_found_in_either_form(tmp_path):
    make_set(tmp_path, TWO, 1, 1)
    assert WorkDir(tmp_path).data(ONE).is_dir() and WorkDir(tmp_path).data(TWO).is_dir()


def test_a_name_is_measured_in_bytes():
    assert check_name("set", TWO) == ONE
    assert check_name("set", "é" * 100) == "é" * 100
    with pytest.raises(UserError, match="has 300 bytes"):
        check_name("set", "あ" * 100)


@pytest.mark.parametrize(
    ("path", "message"),
    [("a\0.wav", "NUL"), ("x" * 256, "256 bytes"), ("あ" * 90 + ".wav", "274 bytes")],
)
def test_paths_that_no_file_has(workdir, run, path, message):
    scp = workdir / "data/train/wav.scp"
    scp.write_text(scp.read_text().replace("data/train/wav/s0-u0.wav", path), "utf-8")
    found = [p for p in validate.check(scp.parent, workdir).problems if p.kind == "path"]
    assert [p.line for p in found] == [1] and message in found[0].message
    assert message in run("extract-prosody", "-C", workdir, "-j", 1).err
    table = workdir / "t.tsv"
    table.write_text(f"{path}\tann\n", "utf-8")
    done = run("prepare", "folder", table, "-C", workdir, "--set", "own")
    assert done.code == 2 and message in done.err and "t.tsv:1" in done.err
    assert "s0-u0" not in mended(scp.parent, workdir)


def mended(folder, root):
    fix.fix(folder, root)
    return read_table(folder / "utt2spk")


def test_nul_on_the_command_line(tmp_path, run):
    assert run("validate", "-C", f"{tmp_path}/a\0b").code == 2
    (tmp_path / "c.yaml").write_text('dir: "a\\0b"\n')
    done = run("validate", "--config", tmp_path / "c.yaml")
    assert done.code == 2 and "NUL" in done.err


def test_a_long_name_is_the_users_to_mend(workdir, run):
    done = run("validate", "-C", workdir / ("x" * 300))
    assert done.code == 2, done.err
    done = run("predict", "separation", workdir / ("é" * 200 + ".wav"), "--model", workdir)
    assert done.code == 2, done.err


def test_windows_paths_are_named(workdir, run):
    scp = workdir / "data/train/wav.scp"
    scp.write_text(scp.read_text().replace("data/train/wav/s0-u0", "data\\train\\wav\\s0-u0"))
    done = run("extract-prosody", "-C", workdir, "-j", 1)
    assert done.code == 2 and "as on Windows" in done.err and "'/' between" in done.err
    done = run("validate", "-C", workdir)
    assert done.code == 2 and "Windows" in " ".join(done.out.split())
    table = workdir / "t.tsv"
    table.write_text("data\\train\\wav\\s0-u0.wav\tann\n")
    done = run("prepare", "folder", table, "-C", workdir, "--set", "own")
    assert done.code == 2 and "t.tsv:1" in done.err and "as on Windows" in done.err


def test_a_backslash_in_a_name_is_no_fault(tmp_path, run):
    own(tmp_path, "x/a\\b.wav")
    table = tmp_path / "t.tsv"
    table.write_text("own/x/a\\b.wav\tann\n")
    assert run("prepare", "folder", table, "-C", tmp_path).code == 0


def test_missing_audio_without_backslash_says_what_the_system_says(tmp_path):
    from speechkit.base import audio

    with pytest.raises(AudioError, match="No such file"):
        audio.info(tmp_path / "none.wav")


@pytest.mark.parametrize("header", ["Path\tSpeaker\tText", "PATH\tSPEAKER\tTEXT"])
def test_a_header_in_any_case(tmp_path, run, header):
    own(tmp_path, "a.wav")
    table, labels = tmp_path / "t.tsv", tmp_path / "labels.tsv"
    table.write_text(f"{header}\nown/a.wav\tann\tHELLO\n")
    labels.write_text("Utt\tEmotion\nann-a\tsad\n")
    scores = tmp_path / "scores.tsv"
    scores.write_text("Utt\tTotal\nann-a\t8\n")
    flags = ("--labels", labels, "--scores", scores, "-C", tmp_path)
    done = run("prepare", "folder", table, *flags)
    assert done.code == 0, done.err
    assert read_table(tmp_path / "data/train/text") == {"ann-a": "HELLO"}
    assert read_table(tmp_path / "data/train/utt2emotion") == {"ann-a": "sad"}


TABLE = "path\ttext\none.wav\tcafé au lait\ntwo.wav\tplain words\n"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth \u200cnon\u200djoiner\u2060", "zerowidth nonjoiner"),
        ("\ufeffbyte\ufeff order", "byte order"),
        ("\u200eleft\u200f \u202aand\u202c \u2066right\u2069", "left and right"),
        ("no\u00a0break thin\u2009space narrow\u202fone ideo\u3000graphic", None),
        ("well\u2011known co\u2010op", "well-known co-op"),
        ("heart\u2764\ufe0f", "heart\u2764"),
        ("line\u2028para\u2029end", "line para end"),
        ("caf\u00e9 cafe\u0301 \u4f60\u597d \u2013", "caf\u00e9 cafe\u0301 \u4f60\u597d \u2013"),
        ("tab\tand\nline\r\n", "tab\tand\nline\r\n"),
        ("filler\u3164s\u115f", "fillers"),
    ],
)
def test_visible(text, seen):
    expected = "no break thin space narrow one ideo graphic" if seen is None else seen
    assert visible(text) == expected
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_unicode_is_read(tmp_path, encoding, ends):
    file = tmp_path / "table.tsv"
    file.write_bytes(TABLE.replace("\n", ends).encode(encoding))
    assert read_text(file) == TABLE
    assert read_lines(file) == TABLE.splitlines()
    assert dict(read_trans(file))[tmp_path / "one.wav"] == "café au lait"


@pytest.mark.parametrize("mark", ["utf-16-be", "utf-32-be"])
def test_the_other_byte_order(tmp_path, mark):
    (tmp_path / "text").write_bytes(f"\ufeff{TABLE}".encode(mark))
    assert read_text(tmp_path / "text") == TABLE


def test_byte_order_marks_of_joined_files(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffa one\n\ufeffb two\u00a0three\n".encode())
    assert read_table(tmp_path / "text") == {"a": "one", "b": "two three"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "windows-1252"])
def test_the_advice_works(tmp_path, encoding):
    """What the message says is run, and the file that it makes is read."""
    file = tmp_path / "it's here.tsv"
    file.write_bytes(TABLE.encode(encoding))
    with pytest.raises(UserError) as error:
        read_lines(file)
    command = re.search(r"iconv .*? > NEW", error.value.remedy).group()
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert read_lines(tmp_path / "NEW") == TABLE.splitlines()


def test_cut_utf_16_is_told(tmp_path):
    (tmp_path / "x").write_bytes(TABLE.encode("utf-16")[:-1])
    with pytest.raises(UserError, match="not UTF-16 text") as error:
        read_text(tmp_path / "x")
    assert "iconv -f UTF-16 " in error.value.remedy


@pytest.mark.parametrize(
    ("text", "marks", "rest"),
    [
        ("we [laughter] go", ["[laughter]"], "we go"),
        ("(laughs) we go <noise>", ["(laughs)", "<noise>"], "we go"),
        ("we {cough} go <UNK> now", ["{cough}", "<UNK>"], "we go now"),
        ("*cough* we go", ["*cough*"], "we go"),
        ("++um++ we go !SIL", ["++um++", "!SIL"], "we go"),
        ("a [very (loud)] noise", ["[very (loud)]"], "a noise"),
        ("<b>we</b> go", ["<b>", "</b>"], "we go"),
        ("we[\u200bnoise]go", ["[noise]"], "we go"),
        ("(th)ank you", ["(th)"], "ank you"),
        ("[[x]] [y] (z)", ["[[x]]", "[y]", "(z)"], ""),
    ],
)
def test_marks(text, marks, rest):
    assert find_marks(text) == marks
    assert " ".join(without_marks(text).split()) == rest


@pytest.mark.parametrize(
    "text", ["a < b and b > c", "2 * 3 * 4", "wow!", "a) one b) two", "5 - 3", "2*3*4", "C++ and D"]
)
def test_what_is_no_mark(text):
    assert find_marks(text) == [] and without_marks(text) == text


def test_what_is_dropped_is_counted():
    assert dropped_marks(["a [x] b", "[x] (y)", "c"]) == (
        "Marks that are not said are left out: [x] (2), (y) (1)."
    )
    assert dropped_marks(["a b"]) == ""
    assert dropped_marks(f"[{n}]" for n in range(12)).endswith("and 2 more kinds.")
