"""Text as it is spoken."""

import random

import pytest

from speechkit.acoustic.lexicon import Lexicon, normalise_text
from speechkit.acoustic.spoken import number_words
from speechkit.errors import UserError

SMALL = """ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN ELEVEN TWELVE THIRTEEN FOURTEEN
FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN"""
TENS = "TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY"
UNITS = {word: value for value, word in enumerate(SMALL.split())} | {
    word: 10 * value for value, word in enumerate(TENS.split(), 2)
}
FACTORS = {"THOUSAND": 10**3, "MILLION": 10**6, "BILLION": 10**9}


def value_of(words: list[str]) -> int:
    """Words back to a number, by adding up."""
    total = group = 0
    for word in words:
        if word == "HUNDRED":
            group *= 100
        elif word in FACTORS:
            total, group = total + group * FACTORS[word], 0
        else:
            group += UNITS[word]
    return total + group


def test_numbers_can_be_read_back():
    draw = random.Random(0)
    numbers = [*range(1200), *(draw.randrange(10**d) for d in range(3, 13) for _ in range(50))]
    for number in numbers:
        words = number_words(str(number))
        assert value_of(words) == number
        assert number_words(f"{number:,}") == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "ZERO"),
        ("115", "ONE HUNDRED FIFTEEN"),
        ("2,000,000,021", "TWO BILLION TWENTY ONE"),
        ("3.14", "THREE POINT ONE FOUR"),
        ("0.5", "ZERO POINT FIVE"),
        ("007", "ZERO ZERO SEVEN"),
    ],
)
def test_cardinals(number, words):
    assert " ".join(number_words(number)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1st 2nd 3rd 4th", "FIRST SECOND THIRD FOURTH"),
        ("the 8th, 9th and 12th", "THE EIGHTH NINTH AND TWELFTH"),
        ("20th 21st 100th 1,000th", "TWENTIETH TWENTY FIRST ONE HUNDREDTH ONE THOUSANDTH"),
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
        ("at 10:05 a.m. in the U.S.", "AT TEN ZERO FIVE A M IN THE U S"),
        ("the end.Next: this, and/or that", "THE END NEXT THIS AND OR THAT"),
        ("salt & pepper, 50% @ home, MP3", "SALT AND PEPPER FIFTY PERCENT AT HOME MP THREE"),
        ("-5 mid-2 1-2", "MINUS FIVE MID TWO ONE TWO"),
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
    "text", ["the 1990s", "5kg", "3/4", "192.168.1.1", "1,2,3", "12:30:5.1.2", "2.5th", "9" * 13]
)
def test_numbers_of_several_readings(text):
    with pytest.raises(UserError, match=r"one way|more than one way") as error:
        normalise_text(f"it was {text} then")
    assert "words" in error.value.remedy


@pytest.mark.parametrize("text", ["$5", "20 °C", "½ cup", "#1", "a < b", "€"])
def test_symbols_that_must_be_written_out(text):
    with pytest.raises(UserError, match="How to say"):
        normalise_text(text)


@pytest.mark.parametrize("text", ["你好", "hello мир", "٣ apples", "ŋ"])
def test_other_scripts(text):
    with pytest.raises(UserError, match="not a letter of English"):
        normalise_text(text)


def test_everything_it_gives_can_be_pronounced():
    text = "Dr. O'Neil's 3rd cat-scan, at 7:45 p.m., cost 1,250.75 -- 'twas x-rayed & 100% OK."
    assert all(Lexicon().words(normalise_text(text)))
