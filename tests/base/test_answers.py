"""What commands show: rows, names with values, and the summary of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechkit.base import answers
from speechkit.base.errors import DataError


def test_rows_are_a_table_and_objects() -> None:
    answer = answers.rows("Sets", ("set", "hours"), [["train", 1.5], ["test", None]])
    assert answer.data == [{"set": "train", "hours": 1.5}, {"set": "test", "hours": None}]
    assert answer.tables == [("Sets", ("set", "hours"), [["train", 1.5], ["test", None]])]
    with pytest.raises(ValueError):
        answers.rows("Sets", ("set", "hours"), [["train"]])


def test_pairs_are_a_line_each() -> None:
    answer = answers.pairs("Model", {"name": "m", "seeds": ["0", "1"], "none": [], "size": 3})
    assert answer.data["seeds"] == ["0", "1"]
    ((_, columns, values),) = answer.tables
    assert columns == ("", "")
    assert values == [("name", "m"), ("seeds", "0, 1"), ("none", "[]"), ("size", "3")]


def test_a_summary_is_flat_in_the_table_and_whole_as_data(tmp_path: Path) -> None:
    whole = {"loss": 0.5, "valid": {"pcc": {"mean": 0.7}, "n": 2}, "empty": {}}
    (tmp_path / "summary.json").write_text(json.dumps(whole))
    answer = answers.summary(tmp_path)
    assert answer.data == whole
    ((title, _, values),) = answer.tables
    assert title == str(tmp_path)
    assert values == [("loss", 0.5), ("valid.pcc.mean", 0.7), ("valid.n", 2), ("empty", {})]
    with pytest.raises(DataError):
        answers.summary(tmp_path / "nothing")


def test_an_output_is_named_in_the_data() -> None:
    answer = answers.output(Path("exp/x"), {"n": 1}, "X", ("a",), [[2]])
    assert answer.data == {"output": "exp/x", "n": 1} and answer.code == 0
