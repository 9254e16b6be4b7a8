"""`prepare folder --scores`: tables and JSON of any corpus, other scales, what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.base.errors import UserError
from speechkit.corpora.folder.scores import parse_scales_option
from speechkit.labels.score_files import canonical_phones, read_scores


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four files of four speakers, with transcripts."""
    lines = []
    for speaker in ("anna", "ben", "cleo", "dan"):
        file = tmp_path / "audio" / f"{speaker}-1.wav"
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, voice(100, 0.1), 16000)
        lines.append(f"audio/{speaker}-1.wav\t{speaker}\tWe call, it's so.")
    path = tmp_path / "list.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def prepare(run, table: Path, *arguments: object):
    return run("prepare", "folder", table, "-C", table.parent / "w", *arguments)


def write_tables(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    names = [f"{speaker}-1" for speaker in ("anna", "ben", "cleo", "dan")]
    rows = [f"{name}\t{10 * k}" for k, name in enumerate(names)]
    (folder / "utterance_scores.tsv").write_text("\n".join(["utt\ttotal", *rows]) + "\n")
    rows = [f"anna-1\t{k}\t{word}\t{k % 2}" for k, word in enumerate(("WE", "CALL", "IT'S", "SO"))]
    (folder / "word_scores.tsv").write_text("\n".join(["utt\tindex\tword\tstress", *rows]) + "\n")
    (folder / "score_scales.json").write_text(
        '{"utterance": {"total": [0, 100]}, "word": {"stress": [0, 1]}}'
    )


def test_a_folder_of_tables_with_scales(table: Path, tmp_path: Path, run) -> None:
    write_tables(tmp_path / "scores")
    ran = prepare(run, table, "--scores", tmp_path / "scores", "--split", "train=0.5,test=0.5")
    assert ran.code == 0, ran.err
    train, test = (read_scores(tmp_path / "w" / "data" / name) for name in ("train", "test"))
    assert len(train.names()) == len(test.names()) == 2 and not train.names() & test.names()
    assert train.scales["utterance"]["total"] == (0, 100)
    both = {**train.words, **test.words}
    assert [word.scores for word in both["anna-1"]] == [
        {"stress": 0}, {"stress": 1}, {"stress": 0}, {"stress": 1},
    ]  # fmt: skip
    assert (
        prepare(
            run, table, "--scores", tmp_path / "scores", "--split", "train=0.5,test=0.5"
        ).err.count("is up to date")
        == 2
    )
    (tmp_path / "scores" / "utterance_scores.tsv").write_text("utt\ttotal\nanna-1\t1\n")
    ran = prepare(run, table, "--scores", tmp_path / "scores", "--split", "train=0.5,test=0.5")
    assert ran.code == 0 and "has no scores of 3 of 4 utterances" in ran.err


def test_one_table_and_scales_as_text(table: Path, tmp_path: Path, run) -> None:
    file = tmp_path / "fluency.tsv"
    file.write_text("utt\tfluency\nanna-1\t55\nelsa-1\t5\n")
    ran = prepare(run, table, "--scores", file)
    assert ran.code == 2 and "line 2: 'anna-1': the utterance fluency 55 is outside" in ran.err
    ran = prepare(run, table, "--scores", file, "--score-scales", "utterance=0:100")
    assert ran.code == 0, ran.err
    assert "1 scored utterance not in the corpus" in ran.err
    scores = read_scores(tmp_path / "w" / "data" / "train")
    assert scores.utterances == {"anna-1": {"fluency": 55}}
    assert scores.scales["utterance"]["fluency"] == (0, 100)
    ran = prepare(run, table, "--scores", file, "--score-scales", "utterance=0:60")
    assert ran.code == 2 and "was made with other parameters (scales" in ran.err


def test_json_in_the_format_of_speechocean762(table: Path, tmp_path: Path, run) -> None:
    words = [
        {"text": "we", "total": 3, "phones": "W IY1", "phones-accuracy": [0, 1]},
        *({"text": w, "total": 1, "phones": ["S", "OW1"]} for w in ("call", "it's", "so")),
    ]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"ben-1": {"total": 4, "words": words}}))
    ran = prepare(run, table, "--scores", file)
    assert ran.code == 0, ran.err
    folder = tmp_path / "w" / "data" / "train"
    assert read_scores(folder).aspects() == ("phone_accuracy", "word_total", "utterance_total")
    assert (canonical_phones(folder) or {})["ben-1"][:2] == [["W", "IY1"], ["S", "OW1"]]


def test_scores_that_do_not_fit(table: Path, tmp_path: Path, run) -> None:
    scores = tmp_path / "scores"

    def fails(said: str, *arguments: object) -> None:
        ran = prepare(run, table, "--scores", scores, *arguments)
        assert ran.code == 2 and said in " ".join(ran.err.split()), ran.err
        assert not (tmp_path / "w" / "data").exists()

    fails("does not exist. Expected: a folder with phone_scores.tsv")
    scores.mkdir()
    fails("holds no table of scores")
    write_tables(scores)
    fails("'word:5' is not LEVEL=LOW:HIGH", "--score-scales", "word:5")
    fails("it is no file", "--score-scales", "sentence=0:5")
    fails("is not [lowest, highest]", "--score-scales", "word=5:0")
    fails(
        "'stres' is no score of a word. Did you mean 'stress'?", "--score-scales", "word.stres=0:1"
    )
    text = (scores / "word_scores.tsv").read_text()
    (scores / "word_scores.tsv").write_text(text.replace("CALL", "TALK"))
    fails("anna-1: 'WE TALK IT'S SO' was scored, the text is 'WE CALL IT'S SO'")
    (scores / "word_scores.tsv").write_text(text)
    (scores / "utterance_scores.tsv").write_text("utt\ttotal\none\t1\n")
    (scores / "word_scores.tsv").unlink()
    fails("no scored utterance ('one') is one of the corpus ('anna-1')")
    (scores / "utterance_scores.tsv").write_text("utt\ttotl\nanna-1\t1\n")
    fails("utterance_scores.tsv (1): line 1: the column 'totl' is not known")
    scores = tmp_path / "x.tsv"
    scores.write_text("a\tb\n")
    fails("there is no column 'utt'")


def test_scales_as_text() -> None:
    scales = parse_scales_option("utterance=1:5, word.stress=0:1")
    assert scales["utterance"]["prosodic"] == (1, 5)
    assert scales["word"] == {"accuracy": (0, 10), "stress": (0, 1), "total": (0, 10)}
    assert scales["phone"]["accuracy"] == (0, 2)
    with pytest.raises(UserError, match="'' is not LEVEL"):
        parse_scales_option("utterance=1:5,")


def test_scales_need_scores(table: Path, run) -> None:
    done = prepare(run, table, "--score-scales", "word=0:5")
    said = "--score-scales word=0:5 is given, but no scores. Add --scores or --raters."
    assert done.code == 2 and said in " ".join(done.err.split())


@pytest.mark.parametrize("kind", ["tables", "json", "raters"])
def test_scores_outside_their_scale_name_the_flag(run, table: Path, kind: str) -> None:
    path = table.parent / ("scores.json" if kind == "json" else "scores.tsv")
    if kind == "json":
        path.write_text(json.dumps({"anna-1": {"total": 85.5, "words": []}}))
    elif kind == "tables":
        path.write_text("utt\ttotal\nanna-1\t85.5\nben-1\t3\n")
    else:
        path.write_text("utt\trater\ttotal\nanna-1\tx\t85.5\nanna-1\ty\t3\n")
    flag = "--raters" if kind == "raters" else "--scores"
    done = prepare(run, table, flag, path)
    assert done.code == 2 and "85.5 is outside 0 to 10" in done.err
    assert "--score-scales utterance.total=0:86" in done.err
    scales = ("--score-scales", "utterance.total=0:86")
    assert prepare(run, table, flag, path, *scales).code == 0
