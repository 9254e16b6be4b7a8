"""Marks in transcripts that are not said."""

import pytest

from speechkit.base.text import find_marks, tell_dropped, without_marks


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
    assert tell_dropped(["a [x] b", "[x] (y)", "c"]) == (
        "Marks that are not said are left out: [x] (2), (y) (1)."
    )
    assert tell_dropped(["a b"]) == ""
    assert tell_dropped(f"[{n}]" for n in range(12)).endswith("and 2 more kinds.")
