"""The table of miscues: written and read, statuses of words, broken lines."""

from __future__ import annotations

import pytest

from speechkit.base.errors import UserError
from speechkit.labels.miscues import (
    INSERTION,
    OMISSION,
    SUBSTITUTION,
    TABLE,
    Miscue,
    read_miscues,
    statuses,
    write_miscues,
)

LINES = [
    Miscue("a-near1", "a", "near", 1, "AT", SUBSTITUTION, "IT", 1),
    Miscue("b-mixed1", "b", "mixed", 0, "", INSERTION, "GREEN", 0),
    Miscue("b-mixed1", "b", "mixed", 2, "BÉAR", OMISSION, "", 3),
]


def test_what_is_written_is_read(tmp_path) -> None:
    write_miscues(tmp_path, LINES)
    found = read_miscues(tmp_path)
    assert [line for lines in found.values() for line in lines] == LINES
    assert {name: lines[0].test for name, lines in found.items()} == {
        "a-near1": "near",
        "b-mixed1": "mixed",
    }
    text = (tmp_path / TABLE).read_text()
    (tmp_path / TABLE).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_miscues(tmp_path) == found


def test_statuses_of_the_words_of_a_text() -> None:
    assert statuses(3, ()) == [0, 0, 0]
    assert statuses(3, LINES[:1]) == [0, 1, 0]
    assert statuses(3, LINES[1:]) == [0, 0, 2]  # what was inserted is no word of the text
    with pytest.raises(UserError, match="b-mixed1: a miscue of word 2 of 2"):
        statuses(2, LINES[1:])


def test_a_set_without_the_table_has_none(tmp_path) -> None:
    assert read_miscues(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\ta\tnear\tone\tAT\tsubstitution\tIT\t1", "miscues.tsv:2: invalid literal"),
        ("a\ta\tnear\t-1\tAT\tsubstitution\tIT\t1", "word -1 is no miscue"),
        ("a\ta\tnear\t1\tAT\tsaid\tAT\t0", "'said' of word 1 is no miscue"),
        ("a\ta\tnear\t1\tAT", "miscues.tsv:2: expected 8 cells, found 5"),
    ],
)
def test_broken_lines_are_named(tmp_path, line: str, message: str) -> None:
    write_miscues(tmp_path, [])
    with (tmp_path / TABLE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UserError, match=message):
        read_miscues(tmp_path)


def test_other_columns_and_bytes_are_refused(tmp_path) -> None:
    (tmp_path / TABLE).write_text("utt\tword\n")
    with pytest.raises(UserError, match="expected the columns utt, source"):
        read_miscues(tmp_path)
    (tmp_path / TABLE).write_bytes(b"utt\t\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_miscues(tmp_path)
