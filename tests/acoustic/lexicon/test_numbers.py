"""Numbers in words."""

import random

import pytest

from speechkit.acoustic.lexicon.numbers import count_readings, number_readings, number_words

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


def test_readings_of_a_count_have_the_value_of_the_number():
    draw = random.Random(1)
    for number in [*range(1, 1200), *(draw.randrange(10**d) for d in range(4, 13))]:
        plain, *others = count_readings(str(number))
        assert plain == number_words(str(number))
        for said in others:
            words = [word for word in said if word != "AND"]
            assert value_of(["ONE", *words[1:]] if words[0] == "A" else words) == number


def test_of_two_digits_there_is_one_reading():
    for number in range(1, 100):
        assert number_readings(str(number)) == [number_words(str(number))]
