"""Several raters: from a table to a set and its parts, what validate says, agreement by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base.errors import DataError
from speechkit.labels.score_files import read_raters, read_scores
from speechkit.scoring.metrics import inter_rater

SPEAKERS = ("anna", "ben", "cleo", "dan")
# Of anna-1, ben-1, cleo-1, dan-1; ann did not hear ben.
GIVEN = {"ann": (1, None, 3, 5), "bob": (2, 2, 4, 4), "cy": (1, 3, 5, 4)}


@pytest.fixture
def table(tmp_path):
    """A corpus of four files, and ``raters.tsv`` beside its list."""
    for speaker in SPEAKERS:
        (tmp_path / "audio" / speaker).mkdir(parents=True)
        soundfile.write(tmp_path / "audio" / speaker / "1.wav", voice(100, 0.1), 16000)
    rows = [
        f"{speaker}-1\t{rater}\t{values[k]}\t"
        for rater, values in GIVEN.items()
        for k, speaker in enumerate(SPEAKERS)
        if values[k] is not None
    ]
    path = tmp_path / "raters.tsv"
    path.write_text("\n".join(["utt\trater\ttotal\tfluency", *rows]) + "\n")
    return path


def prepare(run, table, *more, scales="utterance=1:5"):
    work = ("-C", table.parent / "w", "--score-scales", scales, "--raters", table)
    return run("prepare", "folder", table.parent / "audio", *work, *more)


def test_means_of_raters_become_scores(table, run):
    ran = prepare(run, table)
    assert ran.code == 0 and "raters: 3, utterances that they rated: 4" in ran.err, ran.err
    folder = table.parent / "w" / "data" / "train"
    scores = read_scores(folder)
    assert scores.scales["utterance"]["total"] == (1, 5)
    expected = {"anna-1": 4 / 3, "ben-1": 2.5, "cleo-1": 4, "dan-1": 13 / 3}
    assert {n: s["total"] for n, s in scores.utterances.items()} == pytest.approx(expected)
    raters = read_raters(folder)
    assert raters["anna-1"] == {"ann": {"total": 1}, "bob": {"total": 2}, "cy": {"total": 1}}
    assert set(raters["ben-1"]) == {"bob", "cy"}
    assert "fluency" not in (folder / "rater_scores.tsv").read_text()  # nobody gave any
    assert "is up to date" in prepare(run, table).err


def test_scores_that_are_given_stay(table, run):
    given = table.parent / "scores.tsv"
    given.write_text("utt\tfluency\n" + "".join(f"{s}-1\t3\n" for s in SPEAKERS))
    assert prepare(run, table, "--scores", given).code == 0
    scores = read_scores(table.parent / "w" / "data" / "train")
    assert scores.utterances["ben-1"] == {"fluency": 3}
    assert scores.scales["utterance"]["total"] == (1, 5)  # the raters' scale is kept


def test_parts_and_validate(table, run):
    assert prepare(run, table).code == 0
    work = ("-C", table.parent / "w")
    assert run("split", *work, "--into", "fit,dev", "--speakers", 1).code == 0
    whole, fit, dev = (
        read_raters(table.parent / "w" / "data" / name) for name in ("train", "fit", "dev")
    )
    assert len(fit) == 3 and len(dev) == 1 and {**fit, **dev} == whole
    assert run("validate", "--set", "train", *work).code == 0
    path = table.parent / "w" / "data" / "train" / "rater_scores.tsv"
    path.write_text(
        path.read_text() + "anna-1\tann\t3\nben-1\tdi\t9\nben-1\t\t3\nelsa-1\tann\t3\n"
        "ben-1\ted\tgood\nben-1\n"
    )
    ran = run("validate", "--set", "train", *work, "--json")
    assert ran.code != 0
    problems = json.loads(ran.out)[0]["problems"]
    assert {Path(one["file"]).name for one in problems} == {"rater_scores.tsv"}
    said = {one["line"]: one["message"] for one in problems}
    for line, message in (
        (13, "the rater 'ann' comes twice"),
        (14, "the utterance total 9 is outside 1 to 5"),
        (15, "no rater is named"),
        (16, "no utterance 'elsa-1'"),
        (17, "the total 'good' is not a number"),
        (18, "expected 3 columns"),
    ):
        assert message in said[line]
    with pytest.raises(DataError, match=r"rater_scores.tsv:13: 'anna-1': the rater 'ann' comes"):
        read_raters(path.parent)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("utt\ttotal\nanna-1\t3\n", "there is no column 'rater'"),
        ("utt\trater\tmarks\nanna-1\ta\t3\n", "the column 'marks' is not known"),
        ("utt\trater\ttotal\nx\ta\t3\n", "no rated utterance ('x') is one of the corpus"),
        ("utt\trater\ttotal\nanna-1\ta\t7\n", "line 2: 'anna-1': the utterance total 7 is outside"),
    ],
)
def test_tables_that_do_not_fit(table, run, text, problem):
    table.write_text(text)
    ran = prepare(run, table)
    assert ran.code == 2 and problem in " ".join(ran.err.split()), ran.err
    table.unlink()
    assert "is not a file" in prepare(run, table).err


def test_agreement_by_hand(table, run):
    assert prepare(run, table).code == 0
    found = inter_rater(table.parent / "w" / "data" / "train")
    assert set(found) == {"total"} and found["total"].utterances == 4
    expected = {
        "ann": np.corrcoef([1, 3, 5], [1.5, 4.5, 4])[0, 1],
        "bob": np.corrcoef([2, 2, 4, 4], [1, 3, 4, 4.5])[0, 1],
        "cy": np.corrcoef([1, 3, 5, 4], [1.5, 2, 3.5, 4.5])[0, 1],
    }
    assert found["total"].raters == pytest.approx(expected)
    assert found["total"].mean == pytest.approx(np.mean(list(expected.values())))


def test_agreement_that_is_undefined(tmp_path):
    assert inter_rater(tmp_path) == {}
    (tmp_path / "rater_scores.tsv").write_text(
        "utt\trater\ttotal\na\tone\t3\nb\tone\t4\nb\ttwo\t4\n"
    )
    found = inter_rater(tmp_path)["total"]
    assert found.mean is None and found.raters == {"one": None, "two": None}
    assert found.utterances == 1
