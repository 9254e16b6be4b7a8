"""`split`: speakers are parted, nothing is lost, label files follow."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from conftest import make_set

from speechkit.kaldi import data, split
from speechkit.labels.score_files import read_scores, write_scores
from speechkit.labels.scores import PhoneScore, Scores
from speechkit.workdir import WorkDir


def tables(folder: Path) -> dict[str, str]:
    """Everything in a set but the manifest."""
    files = (p for p in folder.iterdir() if p.is_file() and p.name != "manifest.json")
    return {p.name: p.read_text() for p in files}


def test_parts_are_disjoint_and_hold_every_line(workdir: Path, run) -> None:
    made = run("split", "-C", workdir, "--speakers", 1, "--into", "fit,dev", "--json")
    assert made.code == 0, made.err
    rows = json.loads(made.out)
    assert [row["set"] for row in rows] == ["fit", "dev"]
    assert [row["speakers"] for row in rows] == [3, 1]
    whole, fit, dev = (tables(workdir / "data" / name) for name in ("train", "fit", "dev"))
    assert whole.keys() == fit.keys() == dev.keys()
    for name, text in whole.items():
        lines = (fit[name] + dev[name]).splitlines()
        assert sorted(lines) == sorted(text.splitlines()), name
    loaded = [data.load(workdir / "data" / name, workdir) for name in ("fit", "dev")]
    assert not set(loaded[0].speakers) & set(loaded[1].speakers)
    assert run("validate", "-C", workdir, "--set", "fit", "--set", "dev").code == 0


def test_up_to_date_and_the_second_part_is_added_after_a_kill(workdir: Path, run) -> None:
    command = ("split", "-C", workdir, "--speakers", 2)
    assert run(*command).code == 0
    dev = tables(workdir / "data" / "dev")
    assert "up to date" in run(*command).err
    for path in (workdir / "data" / "dev").iterdir():
        path.unlink()
    (workdir / "data" / "dev").rmdir()
    assert run(*command).code == 0
    assert tables(workdir / "data" / "dev") == dev


def test_neither_part_is_left_when_writing_fails(workdir: Path, monkeypatch) -> None:
    written = []

    def fail_second(source, target, utterances) -> None:
        written.append(target)
        if len(written) == 2:
            raise OSError("disk")
        (target / "wav.scp").write_text("half")

    monkeypatch.setattr(split, "write_subset", fail_second)
    with pytest.raises(OSError):
        split.split(WorkDir(workdir), split.SplitConfig("train", ("fit", "dev"), speakers=1))
    assert {p.name for p in (workdir / "data").iterdir()} == {"train"}


def test_gender_proportions_and_seed(tmp_path: Path) -> None:
    genders = {f"s{k:02d}": "f" if k < 12 else "m" if k < 18 else "?" for k in range(20)}
    utterances = [data.Utterance(name, "a.wav", name) for name in genders]
    known = {name: value for name, value in genders.items() if value != "?"}
    source = data.DataDir(tmp_path, utterances, gender=known)

    def draw(number: int, seed: int = 0) -> set[str]:
        settings = split.SplitConfig("train", ("fit", "dev"), speakers=number, seed=seed)
        return split.held_out(source, settings)

    assert Counter(genders[name] for name in draw(10)) == {"f": 6, "m": 3, "?": 1}
    assert Counter(genders[name] for name in draw(5)) in (
        {"f": 3, "m": 2},
        {"f": 3, "m": 1, "?": 1},
    )
    assert draw(5) == draw(5)
    assert len({frozenset(draw(5, seed)) for seed in range(8)}) > 4
    held = Counter(name for seed in range(200) for name in draw(10, seed))
    assert all(60 < held[name] < 140 for name in genders)  # each speaker half of the time


def test_share_is_rounded_to_speakers(workdir: Path) -> None:
    settings = split.SplitConfig("train", ("fit", "dev"), share=0.3)
    _, dev = split.split(WorkDir(workdir), settings)
    assert len(data.load(dev, workdir).speakers) == 1


def test_segments_and_label_files(tmp_path: Path) -> None:
    folder = make_set(tmp_path, speakers=3, utterances=2, seconds=2.0)
    source = data.load(folder, tmp_path)
    data.write_table(folder / "wav.scp", {f"rec-{u.id}": u.wav for u in source.utterances})
    data.write_table(folder / "segments", {u.id: f"rec-{u.id} 0.5 1.5" for u in source.utterances})
    data.write_table(folder / "reco2dur", {f"rec-{u.id}": "2.0" for u in source.utterances})
    labels = {u.id: {"total": k} for k, u in enumerate(source.utterances)}
    (folder / "scores.json").write_text(json.dumps({**labels, "scale": 10}))
    rows = [f"{u.id}\thappy" for u in source.utterances]
    (folder / "emotion.tsv").write_text("\n".join(["utt\temotion", *rows, ""]))
    (folder / "spk.csv").write_text("speaker,mother tongue\ns0,x\ns1,y\ns2,z\n")
    (folder / "notes.txt").write_text("recorded at home\n")
    (folder / "feats.ark").write_bytes(b"\xff\xfe\x00")
    settings = split.SplitConfig("train", ("fit", "dev"), speakers=1)
    fit, dev = split.split(WorkDir(tmp_path), settings)
    (held,) = data.load(dev, tmp_path).speakers
    names = [u.id for u in data.load(dev, tmp_path).utterances]
    assert names == [f"{held}-u0", f"{held}-u1"]
    assert data.read_table(dev / "wav.scp").keys() == {f"rec-{name}" for name in names}
    assert data.read_table(dev / "reco2dur").keys() == {f"rec-{name}" for name in names}
    assert json.loads((dev / "scores.json").read_text()).keys() == {*names, "scale"}
    assert (dev / "emotion.tsv").read_text().splitlines() == [
        "utt\temotion",
        *(f"{name}\thappy" for name in names),
    ]
    assert len((fit / "emotion.tsv").read_text().splitlines()) == 5
    assert [line[:2] for line in (dev / "spk.csv").read_text().splitlines()] == ["sp", held]
    assert (dev / "notes.txt").read_text() == (fit / "notes.txt").read_text()
    assert not (dev / "feats.ark").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--speakers", 4), "would have all of them"),
        (("--share", 0.05), "would have no speakers"),
        ((), "given twice or not at all"),
        (("--speakers", 1, "--share", 0.5), "given twice"),
        (("--share", 1.5), "out of range"),
        (("--speakers", 1, "--into", "fit"), "two new sets"),
        (("--speakers", 1, "--into", "fit,train"), "two new sets"),
        (("--speakers", 1, "--into", "fit,../dev"), "cannot be the name"),
        (("--speakers", 1, "--set", "nowhere"), "There is no set"),
    ],
)
def test_refused(workdir: Path, run, arguments: tuple, message: str) -> None:
    done = run("split", "-C", workdir, *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert {p.name for p in (workdir / "data").iterdir()} == {"train"}


def test_one_speaker_is_refused(tmp_path: Path, run) -> None:
    make_set(tmp_path, speakers=1)
    done = run("split", "-C", tmp_path, "--speakers", 1)
    assert done.code == 2
    assert "1 speaker" in done.err


def test_a_prepared_set_is_not_overwritten(workdir: Path, run) -> None:
    make_set(workdir, "dev", speakers=2)
    before = tables(workdir / "data" / "dev")
    done = run("split", "-C", workdir, "--speakers", 1)
    assert done.code == 2
    assert tables(workdir / "data" / "dev") == before
    assert not (workdir / "data" / "fit").exists()


def test_scores_follow_their_utterances(workdir: Path) -> None:
    folder = workdir / "data" / "train"
    names = list(data.read_table(folder / "utt2spk"))
    scores = Scores(
        {name: {"total": 5.0} for name in names},
        phones={name: [PhoneScore("AA1", 0, 1.5)] for name in names},
    )
    write_scores(folder, scores)
    for part in split.split(
        WorkDir(workdir), split.SplitConfig("train", ("fit", "dev"), speakers=1)
    ):
        there = read_scores(part)
        assert there.names() == set(data.read_table(part / "utt2spk"))
        assert there.utterances == {name: {"total": 5.0} for name in there.names()}
        assert (part / "score_scales.json").read_text() == (
            folder / "score_scales.json"
        ).read_text()
