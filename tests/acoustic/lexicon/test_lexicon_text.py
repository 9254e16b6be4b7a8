"""Text as it is spoken."""

import pytest

from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.text import normalise_text, tokens_of
from speechkit.base.errors import UserError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1st 2nd 3rd 4th", "FIRST SECOND THIRD FOURTH"),
        ("the 8th, 9th and 12th", "THE EIGHTH NINTH AND TWELFTH"),
        ("20th 21st 99th", "TWENTIETH TWENTY FIRST NINETY NINTH"),
    ],
)
def test_ordinals(text, words):
    assert " ".join(normalise_text(text)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("We call it bear.", "WE CALL IT BEAR"),
        ("It's 3 o'clock -- isn't it?!", "IT'S THREE O'CLOCK ISN'T IT"),
        ("‘Quoted’ “words” and 'more'; tell ’em", "QUOTED WORDS AND MORE TELL 'EM"),
        ("the readers' well-known café naïve Größe", "THE READERS WELL-KNOWN CAFE NAIVE GROSSE"),
        ("at 10 a.m. in the U.S.", "AT TEN A M IN THE U S"),
        ("the end.Next: this, and/or that", "THE END NEXT THIS AND OR THAT"),
        ("salt & pepper, 50% @ home, MP3", "SALT AND PEPPER FIFTY PERCENT AT HOME MP THREE"),
        ("mid-2 20-year 3D", "MID TWO TWENTY YEAR THREE D"),
        ("  two\n\tlines\u00a0here ", "TWO LINES HERE"),
        ("ｆｕｌｌ ｗｉｄｔｈ １２", "FULL WIDTH TWELVE"),
        ("nice 😀 day", "NICE DAY"),
    ],
)
def test_text(text, words):
    assert " ".join(normalise_text(text)) == words


@pytest.mark.parametrize("text", ["", "  \n", "...", "' - '", "😀"])
def test_no_words(text):
    with pytest.raises(UserError, match=r"empty|no words"):
        normalise_text(text)


@pytest.mark.parametrize(
    "text",
    ["3/4/2020", "2020-05-01", "1,2,3", "12:30:5.1.2", "2.5th", "2day", "$5-10", "1/2/3", "4x4x4x"],
)
def test_numbers_of_unknown_readings(text):
    with pytest.raises(UserError, match="more ways than are known") as error:
        tokens_of(f"it was {text} then")
    assert "words" in error.value.remedy


@pytest.mark.parametrize("text", ["a < b", "€", "a # b", "x ° y", "[open", "}", "5 ∑"])
def test_signs_that_must_be_written_out(text):
    with pytest.raises(UserError, match="How to say"):
        tokens_of(text)


def test_several_readings_are_no_words():
    with pytest.raises(UserError, match="nineteen eighty four") as error:
        normalise_text("in 1984 it was 5")
    assert "'1984'" in error.value.problem and "'5'" not in error.value.problem
    assert "`readings` likeliest" in error.value.remedy


@pytest.mark.parametrize(
    "text", ["we [laughter] go", "we (laughs)", "<unk> go", "*cough* we", "!SIL"]
)
def test_marks_are_refused(text):
    with pytest.raises(UserError, match="marks that are not words") as error:
        tokens_of(text)
    assert "`drop_markup`" in error.value.remedy


def test_pieces_know_where_they_stand():
    found = tokens_of("In 1984, he\u00a0paid $5 million and/or 2½ 7-8")
    assert [(t.written, t.first, t.last) for t in found] == [
        ("In", 0, 0), ("1984", 1, 1), ("he", 2, 2), ("paid", 3, 3), ("$5 million", 4, 5),
        ("and", 6, 6), ("or", 6, 6), ("2½", 7, 7), ("7-8", 8, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["你好", "hello мир", "٣ apples", "ŋ"])
def test_other_scripts(text):
    with pytest.raises(UserError, match="not a letter of English"):
        normalise_text(text)


def test_everything_it_gives_can_be_pronounced():
    text = "Dr. O'Neil's 3rd cat-scan, at 7:45 p.m., cost 1,250.75 -- 'twas x-rayed & 100% OK."
    said = [reading for token in tokens_of(text) for reading in token.readings]
    assert all(all(Lexicon().words(words)) for words in said)
