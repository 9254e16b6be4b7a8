"""validate lists every problem at once; --fix mends without inventing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_set

from speechkit.base.errors import UserError
from speechkit.base.files import Lock
from speechkit.corpora.check import fix, problems, validate
from speechkit.kaldi import data
from speechkit.labels.score_files import read_scores, write_scores
from speechkit.labels.scores import PhoneScore, Scores, WordScores
from speechkit.workdir import Output
from speechkit.workdir.manifest import read_manifest


@pytest.fixture
def folder(workdir: Path) -> Path:
    return workdir / "data" / "train"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())


def found(folder: Path, **options: bool) -> set[tuple[str, str, int | None]]:
    report = validate.check(folder, folder.parents[1], **options)
    return {(p.kind, p.file.name, p.line) for p in report.problems}


def mend(folder: Path, **options: bool) -> list[str]:
    return [str(action) for action in fix.fix(folder, folder.parents[1], **options)]


def test_a_good_set_has_no_problems(folder: Path) -> None:
    report = validate.check(folder, folder.parents[1], decode=True)
    assert report.problems == []
    assert (report.utterances, report.speakers) == (12, 4)
    assert report.seconds == pytest.approx(4 * (1.0 + 1.1 + 1.2))
    assert report.sample_rates == {16000: 12}
    assert mend(folder) == [] and not (folder / ".backup").exists()


def test_format_problems_all_at_once(folder: Path) -> None:
    lines = (folder / "text").read_text().splitlines()
    lines[1], lines[2] = lines[2], lines[1]  # unsorted at 3
    lines[3] = lines[3].replace(" ", "\t")
    lines[4] += "\r"
    lines[5] = f" {lines[5]}"
    lines[6] = lines[6].split()[0]
    lines[7:7] = [lines[6], "", lines[3].replace("AH", "OH").replace("\t", " ")]
    content = "\ufeff" + "\n".join(lines)
    (folder / "text").write_bytes(content.encode() + b" \xfc")
    assert found(folder) == {
        ("unsorted", "text", 3),
        ("tab", "text", 4),
        ("crlf", "text", 5),
        ("spaces", "text", 6),
        ("empty-text", "text", 7),
        ("empty-text", "text", 8),
        ("duplicate", "text", 8),
        ("blank-line", "text", 9),
        ("conflict", "text", 10),
        ("bom", "text", 1),
        ("no-newline", "text", len(lines)),
        ("not-utf-8", "text", len(lines)),
    }


def test_marks_are_no_scored_words(folder: Path) -> None:
    lines = (folder / "text").read_text().splitlines()
    names = [line.split()[0] for line in lines]
    words = [WordScores("AH", {"accuracy": 5.0})]
    write_scores(folder, Scores(words=dict.fromkeys(names, words)))
    (folder / "text").write_text("\n".join([f"{lines[0]} [noise]", *lines[1:]]) + "\n")
    assert found(folder) == {("markup", "text", 1)}


def test_marks_and_invisible_characters_of_texts(folder: Path) -> None:
    lines = (folder / "text").read_text().splitlines()
    lines[0] += " [noise] (laughs)"
    lines[1] += " A\u00adH"
    (folder / "text").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert found(folder) == {("markup", "text", 1), ("invisible", "text", 2)}
    told = {p.kind: p for p in validate.check(folder, folder.parent.parent).problems}
    assert "[noise], (laughs)" in told["markup"].message and told["markup"].level == "warning"
    assert "`drop_markup`" in told["markup"].remedy and "U+00AD" in told["invisible"].message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_told_and_mended(folder: Path, encoding: str) -> None:
    whole = (folder / "text").read_bytes()
    (folder / "text").write_bytes(whole.decode().encode(encoding))
    assert found(folder) == {("utf-16", "text", 1)}
    fix.fix(folder, folder.parent.parent)
    assert (folder / "text").read_bytes() == whole and found(folder) == set()


def test_a_byte_order_mark_within_a_file(folder: Path) -> None:
    whole = (folder / "text").read_bytes()
    lines = whole.split(b"\n")
    lines[2] = b"\xef\xbb\xbf" + lines[2]
    (folder / "text").write_bytes(b"\n".join(lines))
    assert found(folder) == {("bom", "text", 3)}
    fix.fix(folder, folder.parent.parent)
    assert (folder / "text").read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("utt2spk", "s0-u1 s0\n", "", ("missing-in-file", "wav.scp", 2)),
        ("wav.scp", "s0-u1 data/train/wav/s0-u1.wav\n", "", ("missing-in-file", "utt2spk", 2)),
        ("utt2spk", "s0-u1 s0\n", "s0-u1\n", ("no-value", "utt2spk", 2)),
        ("utt2spk", "s0-u1 s0\n", "s0-u1 s0 s1\n", ("fields", "utt2spk", 2)),
        ("text", "s0-u1 AH\n", "", ("no-text", "wav.scp", 2)),
        ("text", "s0-u1 AH\n", "s0-u1 AH\ns0-u10 AH\n", ("unknown-key", "text", 3)),
        ("spk2utt", "s0 s0-u0 ", "s0 ", ("spk2utt", "spk2utt", 1)),
        ("spk2utt", "s0 s0-u0 ", "s0 s0-u0 s0-u0 ", ("spk2utt", "spk2utt", 1)),
        ("spk2utt", "s0 s0-u0 s0-u1 s0-u2\n", "", ("spk2utt", "utt2spk", 1)),
        ("spk2gender", "s3 m\n", "s3 m\ns9 f\n", ("unknown-key", "spk2gender", 5)),
        ("spk2gender", "s3 m\n", "s3 male\n", ("gender", "spk2gender", 4)),
        ("spk2gender", "s3 m\n", "", ("no-gender", "utt2spk", 10)),
        ("wav.scp", "wav/s0-u1.wav", "wav/gone.wav", ("missing-audio", "wav.scp", 2)),
        ("wav.scp", "data/train/wav/s0-u1.wav", "echo x |", ("pipe", "wav.scp", 2)),
    ],
)
def test_one_problem_is_found_alone(
    folder: Path, name: str, old: str, new: str, problem: tuple[str, str, int]
) -> None:
    edit(folder / name, old, new)
    seen = found(folder)
    assert problem in seen
    # What follows from it (a shorter speaker, a lost transcript) is all that may be added.
    assert {kind for kind, *_ in seen - {problem}} <= {"spk2utt", "unknown-key", "no-gender"}


def test_order_of_speakers_is_a_warning(folder: Path) -> None:
    edit(folder / "utt2spk", "s0-u1 s0", "s0-u1 s1")
    edit(folder / "spk2utt", "s0 s0-u0 s0-u1 s0-u2\ns1 ", "s0 s0-u0 s0-u2\ns1 s0-u1 ")
    report = validate.check(folder, folder.parents[1])
    assert [(p.kind, p.level, p.line) for p in report.problems] == [("speaker-order", "warning", 3)]


def break_audio(folder: Path) -> dict[str, str]:
    wav = folder / "wav"
    (wav / "s0-u0.wav").write_bytes(b"")
    (wav / "s0-u1.wav").write_bytes((wav / "s0-u1.wav").read_bytes()[:9000])
    (wav / "s1-u0.wav").write_text("this is a text file")
    soundfile.write(wav / "s1-u1.wav", np.zeros(0), 16000)
    (wav / "s1-u2.wav").unlink()
    (wav / "s1-u2.wav").mkdir()
    return {
        "s0-u0": "empty-audio",
        "s0-u1": "cut-audio",
        "s1-u0": "unreadable-audio",
        "s1-u1": "empty-audio",
        "s1-u2": "unreadable-audio",
    }


def test_broken_audio(folder: Path) -> None:
    wanted = break_audio(folder)
    lines = [line.split()[0] for line in (folder / "wav.scp").read_text().splitlines()]
    assert found(folder) == {(k, "wav.scp", lines.index(u) + 1) for u, k in wanted.items()}
    assert found(folder, with_audio=False) == set()
    mend(folder)
    assert found(folder) == set()
    kept = data.load(folder, folder.parents[1])
    assert {u.id for u in kept.utterances} == set(lines) - wanted.keys()
    assert kept.speakers == ["s0", "s2", "s3"] and "s1" not in kept.gender
    assert "s1" not in (folder / "spk2utt").read_text()


def test_decoding_finds_nan_and_cut_flac(folder: Path) -> None:
    sound = np.zeros(16000, np.float32)
    sound[7] = np.nan
    soundfile.write(folder / "wav" / "s0-u0.wav", sound, 16000, subtype="FLOAT")
    flac = folder / "wav" / "s0-u1.flac"
    soundfile.write(flac, np.random.default_rng(0).uniform(-1, 1, 16000), 16000)
    flac.write_bytes(flac.read_bytes()[:20000])
    edit(folder / "wav.scp", "s0-u1.wav", "s0-u1.flac")
    assert found(folder) == set()
    seen = found(folder, decode=True)
    assert ("nan-audio", "wav.scp", 1) in seen
    assert {line for _, _, line in seen} == {1, 2}


def test_decoding_finds_opposite_phase(folder: Path) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(folder / "wav" / "s0-u0.wav", np.stack([sound, sound], axis=1), 16000)
    soundfile.write(folder / "wav" / "s0-u1.wav", np.stack([sound, -sound], axis=1), 16000)
    assert ("opposite-phase", "wav.scp", 2) not in found(folder)
    seen = [s for s in found(folder, decode=True) if s[0] == "opposite-phase"]
    assert seen == [("opposite-phase", "wav.scp", 2)]


def test_rates_that_cannot_be_resampled(folder: Path) -> None:
    soundfile.write(folder / "wav" / "s0-u0.wav", np.zeros(700), 700)
    assert ("unreadable-audio", "wav.scp", 1) in found(folder)


def test_mixed_rates_and_durations(folder: Path) -> None:
    soundfile.write(folder / "wav" / "s3-u2.wav", np.zeros(8000), 8000)
    (folder / "utt2dur").write_text("s3-u0 1.0\ns3-u1 7\ns3-u2 one\n")
    wanted = {("duration", "utt2dur", 2), ("duration", "utt2dur", 3)}
    assert found(folder) == {("sample-rates", "wav.scp", 12), *wanted}
    mend(folder)
    assert (folder / "utt2dur").read_text() == "s3-u0 1.0\ns3-u1 1.100\ns3-u2 1.000\n"


def test_segments(folder: Path) -> None:
    (folder / "wav.scp").write_text("r0 data/train/wav/s0-u0.wav\nr1 data/train/wav/s1-u2.wav\n")
    (folder / "segments").write_text(
        "s0-a r0 0 0.5\ns0-b r0 0.5 1.005\ns0-c r0 0.5 1.5\ns0-d r0 0.5 0.5\ns0-e rx 0 1\n"
        "s0-f r0 0\ns0-g r1 1.1 -1\ns0-h r0 7 -1\n"
    )
    (folder / "utt2spk").write_text("".join(f"s0-{c} s0\n" for c in "abcdefgh"))
    (folder / "spk2utt").write_text("s0 " + " ".join(f"s0-{c}" for c in "abcdefgh") + "\n")
    for name in ("text", "spk2gender"):
        (folder / name).unlink()
    assert found(folder) == {
        ("segment-outside", "segments", 3),
        ("segment-times", "segments", 4),
        ("unknown-recording", "segments", 5),
        ("fields", "segments", 6),
        ("segment-outside", "segments", 8),
    }
    mend(folder)
    assert found(folder) == set()
    kept = [u.id for u in data.load(folder, folder.parents[1]).utterances]
    assert kept == ["s0-a", "s0-b", "s0-g"]


def test_fix_mends_the_format_and_keeps_the_originals(folder: Path) -> None:
    clean = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    broken = {}
    for name, content in clean.items():
        lines = content.decode().splitlines()
        broken[name] = "\ufeff" + "\r\n".join([*lines[::-1], "", lines[0], ""])
        if name != "spk2utt":
            broken[name] = broken[name].replace(" ", "\t", 3)
        (folder / name).write_bytes(broken[name].encode())
    done = mend(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == clean
    for name, content in broken.items():
        assert (folder / ".backup" / name).read_bytes() == content.encode()
    assert "text: sorted: 1" in done
    assert "text: dropped repeated lines: 1 (s0-u0)" in done
    assert "text: replaced tabs with spaces: 3" in done
    assert found(folder) == set() and mend(folder) == []


def test_fix_never_overwrites_an_earlier_backup(folder: Path) -> None:
    original = (folder / "text").read_bytes()
    (folder / "text").write_bytes(original + b"x1 AH\n")
    mend(folder)
    (folder / "text").write_bytes(original + b"x2 AH\n")
    mend(folder)
    assert (folder / ".backup" / "text").read_bytes() == original + b"x1 AH\n"
    assert (folder / ".backup" / "text.1").read_bytes() == original + b"x2 AH\n"


def test_fix_leaves_what_would_be_a_guess(folder: Path) -> None:
    edit(folder / "utt2spk", "s0-u0 s0\n", "s0-u0 s0\ns0-u0 s1\n")
    (folder / "text").write_bytes((folder / "text").read_bytes().replace(b"AH", b"\xc4H", 1))
    before = (folder / "text").read_bytes()
    mend(folder)
    assert (folder / "text").read_bytes() == before
    kinds = {kind for kind, *_ in found(folder)}
    assert {"conflict", "not-utf-8"} <= kinds


def test_fix_turns_gender_words_into_letters(folder: Path) -> None:
    (folder / "spk2gender").write_text("s0 Female\ns1 MALE\ns2 f\ns3 unknown\n")
    mend(folder)
    assert (folder / "spk2gender").read_text() == "s0 f\ns1 m\ns2 f\ns3 unknown\n"


def test_fix_refuses_to_empty_a_set(folder: Path) -> None:
    before = (folder / "wav.scp").read_bytes()
    with pytest.raises(UserError, match="no utterance of it can be used") as refused:
        fix.fix(folder, folder)  # a wrong working directory: all audio is missing
    assert "-C DIR" in refused.value.remedy
    assert (folder / "wav.scp").read_bytes() == before
    (folder / "utt2spk").unlink()
    with pytest.raises(UserError, match="utt2spk is missing"):
        mend(folder)


def test_a_mended_set_stays_up_to_date(tmp_path: Path) -> None:
    source = make_set(tmp_path / "corpus", speakers=2)
    utterances = ["s1-u0", "s0-u0"]

    def prepare() -> bool:
        with Output(tmp_path / "data" / "train", "prepare", {}) as out:
            if not out.up_to_date:
                wavs = [f"{utt} {source}/wav/{utt}.wav\n" for utt in utterances]
                (out.path / "wav.scp").write_text("".join(wavs) + wavs[0])
                data.write_table(out.path / "utt2spk", {utt: utt[:2] for utt in utterances})
        return out.up_to_date

    assert not prepare()
    done = mend(tmp_path / "data" / "train")
    manifest = read_manifest(tmp_path / "data" / "train")
    assert manifest is not None and manifest["fixed"] == done
    assert "wav.scp: sorted: 1" in done and "spk2utt: made again from utt2spk: 1" in done
    assert prepare()  # not taken for a damaged output


def test_long_lists_are_grouped(folder: Path) -> None:
    many = [problems.Problem("tab", folder / "text", i, f"m{i}") for i in range(1, 418)]
    rows = problems.grouped(many, 5)
    assert len(rows) == 6
    assert rows[0][1:3] == (f"{folder / 'text'}:1", "m1 [tab]") and rows[0][3]
    assert rows[1][3] == ""
    assert rows[-1][2] == "and 412 more like this [tab]"
    assert len(problems.grouped(many, 0)) == 417


def test_every_kind_has_a_level_and_a_remedy() -> None:
    for level, remedy in problems.KINDS.values():
        assert level in ("error", "warning") and remedy.endswith(".")


# --- the command ---


def test_command_on_a_good_set(workdir: Path, run) -> None:
    ran = run("validate", "-C", workdir)
    assert ran.code == 0
    assert "train" in ran.out and "Problems" not in ran.out


def test_command_lists_and_fixes(workdir: Path, folder: Path, run) -> None:
    make_set(workdir, "dev", speakers=2)
    break_audio(folder)
    ran = run("validate", "-C", workdir, "--json")
    assert ran.code == 2
    sets = {one["set"]: one for one in json.loads(ran.out)}
    assert (sets["train"]["errors"], sets["dev"]["errors"]) == (5, 0)
    assert {"level", "kind", "file", "line", "message", "remedy"} == set(
        sets["train"]["problems"][0]
    )
    assert run("validate", "-C", workdir, "--set", "dev").code == 0
    assert run("validate", "-C", workdir, "--set", "dev", "--set", "train").code == 2
    assert run("validate", "-C", workdir, "--no-audio").code == 0
    shown = run("validate", "-C", workdir, "--limit", "1")
    assert "[cut-audio]" in shown.out and "and 1 more like this [empty-audio]" in shown.out
    mended = run("validate", "-C", workdir, "--fix")
    assert mended.code == 0, mended.out
    assert "train/wav.scp: dropped lines of unusable utterances: 5" in mended.err


def test_warnings_alone_exit_with_0(workdir: Path, folder: Path, run) -> None:
    edit(folder / "text", "s0-u0 ", "s0-u0\t")
    ran = run("validate", "-C", workdir)
    assert ran.code == 0 and "[tab]" in ran.out


def test_command_without_sets(tmp_path: Path, run) -> None:
    for path, message in (
        (tmp_path / "gone", "which does not exist"),
        (tmp_path, "which does not exist"),
    ):
        ran = run("validate", "-C", path)
        assert ran.code == 2 and message in ran.err
    (tmp_path / "data" / "empty").mkdir(parents=True)
    assert "There are no sets" in run("validate", "-C", tmp_path).err
    ran = run("validate", "-C", tmp_path, "--set", "empty")
    assert ran.code == 2 and "none of the files of a Kaldi data directory" in ran.err
    ran = run("validate", "-C", tmp_path, "--set", "nope")
    assert ran.code == 2 and "no set 'nope'" in ran.err


def test_a_set_without_wav_scp_is_an_error(workdir: Path, folder: Path, run) -> None:
    (folder / "wav.scp").unlink()
    ran = run("validate", "-C", workdir)
    assert ran.code == 2 and "there is no wav.scp [missing-file]" in ran.out


def test_pipes_run_only_when_allowed_and_decoding(workdir: Path, folder: Path, run) -> None:
    wav = folder / "wav" / "s0-u0.wav"
    edit(folder / "wav.scp", "data/train/wav/s0-u0.wav", f"touch {workdir}/ran; cat {wav} |")
    assert "[pipe]" in run("validate", "-C", workdir).out
    assert run("validate", "-C", workdir, "--allow-pipes").code == 0
    assert not (workdir / "ran").exists()
    assert run("validate", "-C", workdir, "--allow-pipes", "--decode").code == 0
    assert (workdir / "ran").exists()


def test_real_speech(real_data: Path, tmp_path: Path) -> None:
    corpus = real_data / "speechocean762"
    report = validate.check(corpus / "test", corpus)
    assert (report.utterances, report.speakers) == (500, 25)
    assert report.seconds / 3600 == pytest.approx(0.56, abs=0.01)
    kinds = {p.kind for p in report.problems}
    assert {"tab"} <= kinds <= {"tab", "unsorted"}


def test_a_full_disk_while_fixing(workdir: Path, folder: Path, run, monkeypatch) -> None:
    text = (folder / "text").read_bytes() + b"unknown AH\n"
    (folder / "text").write_bytes(text)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        ran = run("validate", "-C", workdir, "--fix")
    assert ran.code == 2 and "The disk is full" in ran.err
    assert (folder / "text").read_bytes() == text
    hidden = [p.name for p in folder.rglob("*.tmp")] + [p.name for p in folder.parent.glob(".*")]
    assert hidden == []
    assert run("validate", "-C", workdir, "--fix").code == 0


def test_fix_waits_for_nobody(workdir: Path, folder: Path, run) -> None:
    lock = Lock(folder.with_name(".train.lock"))
    lock.acquire("x")
    ran = run("validate", "-C", workdir, "--fix")
    lock.release()
    assert ran.code == 2 and "is being written by process" in ran.err


def score(folder: Path) -> Scores:
    """Scores of every utterance of the set, whose text is AH."""
    names = data.read_table(folder / "utt2spk")
    scores = Scores(
        {name: {"total": 5.0} for name in names},
        {name: [WordScores("AH", {"stress": 5.0})] for name in names},
        {name: [PhoneScore("AA1", 0, 1.5)] for name in names},
    )
    write_scores(folder, scores)
    return scores


def test_label_files_follow_when_utterances_are_dropped(workdir: Path, folder: Path) -> None:
    scores = score(folder)
    labels = {name: {"total": 1} for name in scores.names()}
    (folder / "labels.json").write_text(json.dumps({**labels, "scale": 3}))
    (folder / "words.tsv").write_text("word\tspeaker\ns0\ta word like a speaker\nx\t1\ny\t2\n")
    with (folder / "utterance_scores.tsv").open("a") as file:
        file.write("unknown\t7\n")
    (folder / "wav" / "s1-u1.wav").write_bytes(b"")
    actions = mend(folder)
    dropped = "dropped entries of unusable or unknown utterances"
    assert f"utterance_scores.tsv: {dropped}: 2 (s1-u1, unknown)" in actions
    assert f"labels.json: {dropped}: 1 (s1-u1)" in actions
    left = read_scores(folder)
    assert left.names() == scores.names() - {"s1-u1"}
    assert set(json.loads((folder / "labels.json").read_text())) == {*left.names(), "scale"}
    assert len((folder / "words.tsv").read_text().splitlines()) == 4
    assert not validate.check(folder, workdir).problems
    assert (folder / ".backup" / "word_scores.tsv").is_file()


def test_problems_of_scores(workdir: Path, folder: Path) -> None:
    scores = score(folder)
    scores.words["s0-u0"] = [WordScores("OH", {"stress": 5.0})]
    scores.phones["s0-u1"] = [PhoneScore("XX", 0, 2.5)]
    del scores.utterances["s0-u2"]
    write_scores(folder, scores)
    with (folder / "word_scores.tsv").open("a") as file:
        file.write("s9-u9\t0\tAH\t1\n")
    report = validate.check(folder, workdir)
    assert {(p.kind, p.file.name, p.line): p.message for p in report.problems} == {
        ("scores", "phone_scores.tsv", 3): "'s0-u1': the phone accuracy 2.5 is outside 0 to 2",
        ("scores", "phone_scores.tsv", None): "phones outside ARPAbet: s0-u1: XX",
        ("scores", "word_scores.tsv", None): (
            "words that disagree with the text: s0-u0: 'OH' was scored, the text is 'AH'"
        ),
        ("unknown-key", "word_scores.tsv", 14): "no utterance 's9-u9'",
        ("unscored", "utterance_scores.tsv", None): "it lacks 1 utterance (s0-u2)",
    }


@pytest.mark.parametrize("table", ["utt2spk", "wav.scp", "text", "spk2utt", "spk2gender"])
@pytest.mark.parametrize("place", ["key", "value"])
def test_bytes_that_are_not_utf8_are_listed_with_their_line(
    workdir: Path, folder: Path, run, table: str, place: str
) -> None:
    lines = (folder / table).read_bytes().splitlines()
    key, _, value = lines[1].partition(b" ")
    lines[1] = b"%s\xe9 %s" % (key, value) if place == "key" else b"%s %s\xff" % (key, value)
    (folder / table).write_bytes(b"\n".join(lines) + b"\n")
    (problem,) = [p for p in validate.check(folder, workdir).problems if p.kind == "not-utf-8"]
    assert (problem.file.name, problem.line) == (table, 2) and "byte 0x" in problem.message
    done = run("validate", "-C", workdir)
    assert done.code == 2 and "not-utf-8" in done.out
    assert run("validate", "--json", "-C", workdir).code == 2
    done = run("validate", "--fix", "-C", workdir)  # what is left of the bytes is the user's
    assert done.code == (
        2
        if b"\xe9" in (folder / table).read_bytes() or b"\xff" in (folder / table).read_bytes()
        else 0
    )
    backup = folder / ".backup" / table
    assert not backup.exists() or b"\n".join(lines) + b"\n" == backup.read_bytes()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_fix_does_not_write_over_what_is_no_table(
    workdir: Path, folder: Path, run, kind: str
) -> None:
    path = folder / "spk2utt"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    edit(folder / "text", "s0-u1 ", "s0-u1\t")
    before = (folder / "text").read_bytes()
    done = run("validate", "--fix", "-C", workdir)
    assert done.code == 2 and "stands where a table belongs" in " ".join(done.err.split())
    assert (folder / "text").read_bytes() == before
    assert path.is_dir() if kind == "folder" else path.is_symlink()
