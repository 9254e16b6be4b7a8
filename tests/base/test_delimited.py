"""Tables: CSV as spreadsheets write it, tabs, and rows that are broken."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from speechkit.base.errors import UserError
from speechkit.base.tables import read_rows


def rows_of(tmp_path: Path, text: str | bytes, name: str = "list.csv") -> list:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_rows(path).rows


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_the_csv_module_wrote(tmp_path: Path, mark: str) -> None:
    cells = [["path", "text"], ["a.wav", 'He said "no"; I, too'], ["b\tc.wav", "two\nlines"]]
    path = tmp_path / "list.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=mark).writerows(cells)
    assert [row for _, row in read_rows(path).rows] == cells


def test_lines_are_counted(tmp_path: Path) -> None:
    text = '\n\npath,text\n"a.wav","one\ntwo"\n,,\nb.wav,x\n'
    assert [number for number, _ in rows_of(tmp_path, text)] == [3, 4, 7]


def test_marks_of_excel_and_of_byte_order(tmp_path: Path) -> None:
    wanted = [["Path", "Text"], ["é.wav", "a,b"]]
    text = "sep=;\r\nPath;Text\r\né.wav;a,b\r\n"
    for encoded in (text.encode("utf-8-sig"), text.encode("utf-16")):
        assert [row for _, row in rows_of(tmp_path, encoded)] == wanted
    assert rows_of(tmp_path, text)[0][0] == 2
    with pytest.raises(UserError, match="another mark"):
        rows_of(tmp_path, "sep=|\na|b\n")


def test_other_endings_have_tabs_and_no_quotes(tmp_path: Path) -> None:
    assert rows_of(tmp_path, 'a.wav\t"x, y\n', "list.tsv") == [(1, ["a.wav", '"x, y'])]


@pytest.mark.parametrize("bad", ['a.wav,"no end\n', 'a.wav,"x"y\n', f"a.wav,{'x' * 200_000}\n"])
def test_broken_rows_are_named(tmp_path: Path, bad: str) -> None:
    with pytest.raises(UserError, match=r"list\.csv:3: this row is no CSV"):
        rows_of(tmp_path, f"path,text\nok.wav,fine\n{bad}last.wav,x\n")
