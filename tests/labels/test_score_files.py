"""The tables of scores: written and read again, and everything that can be wrong in them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from speechkit.base.errors import DataError
from speechkit.labels.score_files import canonical_phones, read_scores, score_files, write_scores
from speechkit.labels.score_tables import examine
from speechkit.labels.scores import ASPECTS, PhoneScore, Scores, WordScores, split_aspect


def example() -> Scores:
    return Scores(
        utterances={"b-1": {"accuracy": 8.0, "total": 7.5}, "a-1": {"accuracy": 10.0}},
        words={
            "a-1": [WordScores("WE", {"accuracy": 10.0, "stress": 5.0}), WordScores('"AN"', {})],
            "b-1": [WordScores("IT", {"accuracy": 0.1})],
        },
        phones={
            "a-1": [
                PhoneScore("W", 0, 2.0),
                PhoneScore("IY0", 0, 1.8),
                PhoneScore("AE1", 1, math.nan),
            ],
            "b-1": [PhoneScore("IH0", 0, 0.0)],
        },
    )


def test_aspects_are_the_nine_of_the_paper() -> None:
    assert ASPECTS == (
        "phone_accuracy",
        "word_accuracy", "word_stress", "word_total",
        "utterance_accuracy", "utterance_completeness", "utterance_fluency",
        "utterance_prosodic", "utterance_total",
    )  # fmt: skip
    assert split_aspect("utterance_total") == ("utterance", "total")


def test_written_and_read_again(tmp_path: Path) -> None:
    scores = example()
    write_scores(tmp_path, scores)
    assert (tmp_path / "utterance_scores.tsv").read_text() == (
        "utt\taccuracy\ttotal\na-1\t10\t\nb-1\t8\t7.5\n"
    )
    assert (tmp_path / "word_scores.tsv").read_text().splitlines()[:3] == [
        "utt\tindex\tword\taccuracy\tstress",
        "a-1\t0\tWE\t10\t5",
        'a-1\t1\t"AN"\t\t',
    ]
    assert (tmp_path / "phone_scores.tsv").read_text().splitlines()[2:4] == [
        "a-1\t0\t1\tIY0\t1.8",
        "a-1\t1\t2\tAE1\t",
    ]
    again = read_scores(tmp_path)
    assert again.utterances == scores.utterances and again.words == scores.words
    assert again.phones["b-1"] == scores.phones["b-1"]
    assert again.phones["a-1"][:2] == scores.phones["a-1"][:2]
    assert math.isnan(again.phones["a-1"][2].accuracy)
    assert again.scales["phone"]["accuracy"] == (0, 2)
    assert [path.name for path in score_files(tmp_path)] == [
        "phone_scores.tsv", "word_scores.tsv", "utterance_scores.tsv", "score_scales.json",
    ]  # fmt: skip
    assert canonical_phones(tmp_path) == {"a-1": [["W", "IY0"], ["AE1"]], "b-1": [["IH0"]]}


def test_values_aspects_and_parts() -> None:
    scores = example()
    np.testing.assert_array_equal(scores.values("phone_accuracy"), [2.0, 1.8, 0.0])
    np.testing.assert_array_equal(scores.values("word_stress"), [5.0])
    assert scores.aspects() == (
        "phone_accuracy", "word_accuracy", "word_stress", "utterance_accuracy", "utterance_total",
    )  # fmt: skip
    part = scores.part(["b-1", "unknown"])
    assert part.names() == {"b-1"} and part.words["b-1"] == scores.words["b-1"]


def test_a_corpus_with_totals_only(tmp_path: Path) -> None:
    (tmp_path / "utterance_scores.tsv").write_text("utt\ttotal\r\na\t55\r\nb\t\r\n")
    (tmp_path / "score_scales.json").write_text('{"utterance": {"total": [0, 100]}}')
    scores = read_scores(tmp_path)
    assert scores.utterances == {"a": {"total": 55.0}, "b": {}}
    assert scores.aspects() == ("utterance_total",)
    assert canonical_phones(tmp_path) is None
    other = tmp_path / "again"
    other.mkdir()
    write_scores(other, scores)
    assert json.loads((other / "score_scales.json").read_text()) == {
        "utterance": {"total": [0, 100]}
    }
    assert len(score_files(other)) == 2


def test_canonical_phones_without_scores(tmp_path: Path) -> None:
    write_scores(tmp_path, Scores(phones={"a": [PhoneScore("B", 0), PhoneScore("IY1", 0)]}))
    assert (tmp_path / "phone_scores.tsv").read_text().startswith("utt\tword\tindex\tphone\na\t0")
    assert canonical_phones(tmp_path) == {"a": [["B", "IY1"]]}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("utterance_scores.tsv", "utt\taccuracy\na\tgood\n", ":2: 'a': the accuracy 'good'"),
        ("utterance_scores.tsv", "utt\taccuracy\na\t11\n", "utterance accuracy 11 is outside 0 to"),
        ("utterance_scores.tsv", "utt\taccuracy\na\tnan\n", "nan is outside 0 to 10"),
        ("utterance_scores.tsv", "utt\taccuracy\na\t1\na\t1\n", ":3: 'a' comes twice"),
        ("utterance_scores.tsv", "utt\taccuracy\na 1\n", ":2: expected 2 columns"),
        ("utterance_scores.tsv", "utt\tflueny\na\t1\n", "Did you mean 'fluency'?"),
        ("utterance_scores.tsv", "id\ttotal\na\t1\n", ":1: there is no column 'utt'"),
        ("utterance_scores.tsv", "", ":1: there is no column 'utt'"),
        ("utterance_scores.tsv", "utt\ttotal\n\t1\n", "id '' is empty or holds spaces"),
        ("utterance_scores.tsv", b"utt\ttotal\n\xff\t1\n", "is not UTF-8 text (byte 10)"),
        ("word_scores.tsv", "utt\tindex\tword\na\t1\tWE\n", "the word has the index '1', expected"),
        ("word_scores.tsv", "utt\tindex\tword\na\t0\t\n", "'a': word 0 is empty"),
        ("phone_scores.tsv", "utt\tword\tindex\tphone\na\t0\t1\tW\n", "the index '1', expected 0"),
        ("phone_scores.tsv", "utt\tword\tindex\tphone\na\t1\t0\tW\n", "word '1', expected 0 or 0"),
        ("phone_scores.tsv", "utt\tword\tindex\tphone\na\t0\t0\t\n", "the phone '' is empty"),
        ("score_scales.json", "{", "score_scales.json: it cannot be read"),
        ("score_scales.json", "[]", "is no level of scores"),
        ("score_scales.json", '{"word": {"stres": [0, 1]}}', "Did you mean 'stress'?"),
        ("score_scales.json", '{"word": {"stress": [1, 1]}}', "is not [lowest, highest]"),
        ("score_scales.json", '{"word": {"stress": 10}}', "is not [lowest, highest]"),
    ],
)
def test_what_can_be_wrong(tmp_path: Path, file: str, text: str | bytes, said: str) -> None:
    (tmp_path / "utterance_scores.tsv").write_text("utt\taccuracy\na\t1\n")
    (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as raised:
        read_scores(tmp_path)
    assert file in str(raised.value) and said in str(raised.value)


def test_tables_that_disagree_and_all_faults_at_once(tmp_path: Path) -> None:
    write_scores(tmp_path, example())
    lines = (tmp_path / "word_scores.tsv").read_text().splitlines()
    (tmp_path / "word_scores.tsv").write_text("\n".join([*lines[:2], "b-1\t0\tIT\t12\t-1"]) + "\n")
    _, faults = examine(tmp_path)
    assert [(name, line) for name, line, _ in faults] == [
        ("word_scores.tsv", 3),
        ("phone_scores.tsv", None),
    ]
    assert "has phones up to word 2, but word_scores.tsv has 1" in faults[1][2]
    with pytest.raises(DataError, match="1 more problem"):
        read_scores(tmp_path)


def test_a_set_without_scores(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no scores") as raised:
        read_scores(tmp_path)
    assert "--scores" in raised.value.remedy
    assert canonical_phones(tmp_path) is None and score_files(tmp_path) == []
