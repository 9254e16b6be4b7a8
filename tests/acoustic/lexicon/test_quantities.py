"""What digits and signs stand for, against readings written out by hand."""

import pytest

from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.quantities import COINS, MAX_READINGS, MONEY, UNITS
from speechkit.acoustic.lexicon.text import tokens_of

# Text -> readings that it must have, among others; the first is the plainest.
SOME = {
    "1984": "one thousand nine hundred eighty four | one thousand nine hundred and eighty four"
    " | nineteen eighty four | nineteen hundred and eighty four | one nine eight four",
    "2005": "two thousand five | two thousand and five | twenty oh five | two zero zero five"
    " | two oh oh five",
    "1905": "one thousand nine hundred five | nineteen oh five | nineteen hundred and five",
    "1900": "one thousand nine hundred | nineteen hundred",
    "2020": "two thousand twenty | twenty twenty | two thousand and twenty",
    "104": "one hundred four | a hundred and four | one oh four | one zero four",
    "100": "one hundred | a hundred | one oh oh",
    "747": "seven hundred forty seven | seven forty seven | seven four seven",
    "1990s": "nineteen nineties",
    "the '60s": "the sixties",
    "1984's": "nineteen eighty four's | one thousand nine hundred eighty four's",
    "90210": "ninety thousand two hundred ten | nine zero two one zero | nine oh two one oh",
    "0.5": "zero point five | point five | oh point five",
    "101st": "one hundred first | one hundred and first | a hundred and first",
    "3-4": "three to four | three four | three minus four | three dash four",
    "3 – 4": "three to four | three minus four",
    "5-10%": "five to ten percent | five ten percent",
    "$5.20": "five dollars and twenty cents | five dollars twenty | five twenty"
    " | five dollars twenty cents | five point two zero dollars",
    "$0.50": "fifty cents | zero dollars and fifty cents",
    "$1": "one dollar | a dollar",
    "£1.50": "one pound and fifty pence | one pound fifty p | one pound fifty | one fifty",
    "€3": "three euros",
    "20 €": "twenty euros",
    "10:30": "ten thirty | half past ten",
    "10:05": "ten oh five | ten zero five | five past ten | five after ten",
    "7:45": "seven forty five | quarter to eight | a quarter to eight | fifteen to eight",
    "12:50": "twelve fifty | ten to one",
    "6:00": "six o'clock | six",
    "10:30 pm": "ten thirty p m",
    "9am": "nine a m",
    "15:20": "fifteen twenty",
    "2:1": "two to one | two one",
    "1/2": "one half | a half | half | one over two",
    "3/4": "three quarters | three fourths | three over four | three slash four | three four",
    "24/7": "twenty four seven",
    "2½": "two and one half | two and a half",
    "5²": "five squared | five to the power of two | five to the second power",
    "2³": "two cubed | two to the third | two to the power of three",
    "2^10": "two to the power of ten | two to the tenth | two to the ten",
    "x² = 9": "x squared equals nine | x squared is nine | x squared is equal to nine",
    "-5": "minus five | negative five",
    "5kg": "five kilograms | five kilos | five k g",
    "1 km": "one kilometer | a kilometer",
    "20 °C": "twenty degrees celsius",
    "60 mph": "sixty miles an hour | sixty miles per hour | sixty m p h",
    "10 km²": "ten square kilometers | ten kilometers squared",
    "5G": "five g | five grams",
    "#1": "number one | hash one",
    "No. 7": "number seven | no seven",
    "4x4": "four by four | four times four | four x four",
    "555-1234": "five five five one two three four",
    "10.0.0.1": "ten dot zero dot zero dot one | ten point oh point oh point one",
    "3 × 4": "three times four",
}
# Text -> its one reading, as it has always been said.
ONE = {
    "3": "three",
    "42": "forty two",
    "50%": "fifty percent",
    "21st": "twenty first",
    "MP3": "mp three",
    "wait--5 ...6": "wait five six",
    "H₂O": "h two o",
    "$5 million": "five million dollars",
    "a@b & c": "a at b and c",
    "9999999999999": " ".join(["nine"] * 13),
}


def sayings(text: str) -> list[str]:
    """Everything that a text may be said as."""
    found = [""]
    for token in tokens_of(text):
        found = [f"{start} {' '.join(end)}" for start in found for end in token.readings]
    return [words.strip().lower() for words in found]


@pytest.mark.parametrize("text", SOME)
def test_readings(text):
    expected = SOME[text].split(" | ")
    found = sayings(text)
    assert not set(expected) - set(found), found
    assert len(set(found)) == len(found)
    plain = expected[0]
    assert found[0] == plain or text in (
        "1990s",
        "1984's",
        "5-10%",
        "5G",
        "No. 7",
        "24/7",
        "555-1234",
    )


@pytest.mark.parametrize("text", ONE)
def test_one_reading(text):
    assert sayings(text) == [ONE[text]]


@pytest.mark.parametrize("text", ["1939-1945", "1999-2000", "1990s-2000s", "100.100.100.100"])
def test_too_many_readings_are_aligned_piece_by_piece(text):
    first, *rest = tokens_of(text)
    assert rest and first.written + "".join(token.written for token in rest) == text
    assert all(len(token.readings) <= MAX_READINGS for token in (first, *rest))


def test_names_of_units_and_coins_can_be_pronounced():
    names = [name for table in UNITS.values() for pair in table for name in pair]
    names += [name for pair in (*MONEY.values(), *COINS.values()) for name in pair if name]
    lexicon = Lexicon()
    missing = {word for name in names for word in name.split() if not lexicon.knows(word)}
    assert missing <= {"AMPS", "GIGA", "PAISA"}  # such readings are left out
