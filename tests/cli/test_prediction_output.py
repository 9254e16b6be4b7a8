"""Tables and lists that are printed while their rows come."""

from __future__ import annotations

import json
import sys

import pytest

from speechkit.base.errors import UserError
from speechkit.cli.output import print_json, print_table
from speechkit.cli.prediction_output import RowTable, print_predictions
from speechkit.task.prediction.stream import Predicted
from speechkit.task.prediction.written import JsonList

COLUMNS = ("file", "score", "words")
ROWS = [("short.wav", 1.25, "A"), ("a-longer-name.wav", 12345.0, "B [red]C"), ("é", None, "D")]


@pytest.mark.parametrize("widest", [(), ("a-longer-name.wav", "1.234e+04", "B [red]C")])
def test_a_table_in_parts_looks_as_in_one_piece(
    capsys: pytest.CaptureFixture[str], widest: tuple[str, ...]
) -> None:
    rows = ROWS if widest else ROWS[:1]
    print_table("A title", COLUMNS, rows)
    wanted = capsys.readouterr().out
    table = RowTable("A title", COLUMNS, widest)
    for row in rows:
        table.add([row])
        assert row[0] in capsys.readouterr().out if row is not rows[0] else True
    table.close()
    capsys.readouterr()
    table = RowTable("A title", COLUMNS, widest)
    for row in rows:
        table.add([row])
    table.close()
    assert capsys.readouterr().out == wanted


def test_nothing_is_cut_where_a_cell_is_wider(capsys: pytest.CaptureFixture[str]) -> None:
    table = RowTable("", ("a", "b"), ("xx", "y"))
    table.add([("1", "2")])
    table.add([("much wider than told", "3")])
    table.close()
    assert "much wider than told" in capsys.readouterr().out


def test_a_list_is_that_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"file": "é", "n": float("nan"), "of": [1, {}]}, {"file": "b\udcff"}]
    print_json(rows)
    wanted = capsys.readouterr().out
    shown = JsonList(sys.stdout)
    for row in rows:
        shown.add(row)
    shown.close()
    found = capsys.readouterr().out
    assert json.loads(found) == json.loads(wanted)
    shown = JsonList(sys.stdout)
    shown.add(rows[0])
    shown.close()
    print_json(rows[:1])
    one, same = capsys.readouterr().out.split("]\n[")
    assert one[1:] + "]" == same.rstrip("\n")


@pytest.mark.parametrize("stop", [UserError("broken"), KeyboardInterrupt()])
def test_a_list_is_whole_after_a_stop(
    capsys: pytest.CaptureFixture[str], stop: BaseException
) -> None:
    def some(count: int):
        for k in range(count):
            yield Predicted(k, {"k": k})
        raise stop

    for count in (0, 2):
        with pytest.raises(type(stop)):
            print_predictions(some(count), True)
        printed = capsys.readouterr().out
        assert json.loads(printed or "[]") == [{"k": k} for k in range(count)]
