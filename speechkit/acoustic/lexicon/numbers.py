"""Numbers and times of the day in words: as a count, a year, digit by digit, an ordinal."""

from __future__ import annotations

import re

from speechkit.base.errors import UserError

Said = tuple[str, ...]
Slot = tuple[str, list[Said]]
"""A piece of a text and its readings."""

ONES = (
    *("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN"),
    *("ELEVEN", "TWELVE", "THIRTEEN", "FOURTEEN", "FIFTEEN", "SIXTEEN", "SEVENTEEN", "EIGHTEEN"),
    "NINETEEN",
)
_TENS = ("TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY")
_GROUPS = ((10**9, "BILLION"), (10**6, "MILLION"), (1000, "THOUSAND"), (100, "HUNDRED"))
_ORDINALS = {
    **{"ONE": "FIRST", "TWO": "SECOND", "THREE": "THIRD", "FIVE": "FIFTH", "EIGHT": "EIGHTH"},
    **{"NINE": "NINTH", "TWELVE": "TWELFTH"},
}
_DIGITS = 12  # of the longest number that is said as one
IN_WORDS = "Write it in words, as it is said in the recording."


def number_words(number: str, ordinal: bool = False) -> Said:
    """A number in words: ``"1,204"`` -> ``ONE THOUSAND TWO HUNDRED FOUR``.

    Args:
        number: digits, with commas between thousands and a decimal point if wanted.
        ordinal: ``FOURTH`` for ``FOUR``.

    Raises:
        UserError: more than twelve digits, or an ordinal of a decimal number.
    """
    whole, _, decimals = number.replace(",", "").partition(".")
    if len(whole) > _DIGITS or (ordinal and decimals):
        raise UserError(f"'{number}' is not a number that can be said in one way.", IN_WORDS)
    by_digits = whole.startswith("0") and len(whole) > 1
    words = by_digit(whole) if by_digits else _cardinal(int(whole))
    if decimals:
        words += ("POINT", *by_digit(decimals))
    return ordinal_of(words) if ordinal else words


def _cardinal(number: int, joined: bool = False) -> Said:
    """``joined``: with the British "and" before what is below a hundred."""
    for size, name in _GROUPS:
        if number >= size:
            rest = number % size
            words = (*_cardinal(number // size, joined), name)
            link = ("AND",) * (joined and 0 < rest < 100)
            return (*words, *link, *_cardinal(rest, joined)) if rest else words
    if number < 20:
        return (ONES[number],)
    tens = (_TENS[number // 10 - 2],)
    return (*tens, *_cardinal(number % 10)) if number % 10 else tens


def number_readings(number: str) -> list[Said]:
    """Every way to say a number, the plainest first.

    ``1984``: ONE THOUSAND NINE HUNDRED [AND] EIGHTY FOUR, NINETEEN [HUNDRED [AND]] EIGHTY FOUR,
    ONE NINE EIGHT FOUR. Digit by digit from three digits on; 0 is ZERO or OH.

    Args:
        number: digits, with commas between thousands and a decimal point if wanted.
    """
    whole, _, decimals = number.partition(".")
    plain = whole.replace(",", "")
    if not decimals:
        return count_readings(plain) if "," in whole else _whole_readings(plain)
    starts = _whole_readings(plain or "0")
    if plain in ("", "0"):
        starts += [("OH",), ("NOUGHT",), ()]
    ends = _by_digits(decimals)
    if len(decimals) == 2 and decimals[0] != "0":
        ends.append(_cardinal(int(decimals)))
    return distinct([(*a, "POINT", *b) for a in starts for b in ends])


def _whole_readings(digits: str) -> list[Said]:
    if digits == "0":
        return [("ZERO",), ("OH",), ("NOUGHT",), ("NIL",)]
    if digits.startswith("0"):
        return _by_digits(digits)
    found = count_readings(digits) + _by_pairs(digits)
    return distinct(found + (_by_digits(digits) if len(digits) > 2 else []))


def count_readings(number: str) -> list[Said]:
    """How a number is said as a count: with and without "and", "a hundred" for "one hundred".

    Args:
        number: digits without leading zero, commas or point.
    """
    if len(number) > _DIGITS:
        return []
    plain, british = (_cardinal(int(number), joined) for joined in (False, True))
    found = [plain, british]
    if plain[0] == "ONE" and len(plain) > 1:
        found += [("A", *said[1:]) for said in (plain, british)]
    return distinct(found)


def by_digit(digits: str, zero: str = "ZERO") -> Said:
    """``104`` -> ONE ZERO FOUR."""
    return tuple(zero if digit == "0" else ONES[int(digit)] for digit in digits)


def _by_digits(digits: str) -> list[Said]:
    """``104`` -> ONE ZERO FOUR, ONE OH FOUR."""
    return distinct([by_digit(digits), by_digit(digits, "OH")])


def _by_pairs(digits: str) -> list[Said]:
    """As years and flights are said: NINETEEN EIGHTY FOUR, NINETEEN OH FIVE, ONE TWENTY THREE."""
    if len(digits) not in (3, 4) or digits.startswith("0"):
        return []
    high, low = int(digits[:-2]), int(digits[-2:])
    first, last = _cardinal(high), _cardinal(low)
    found: list[Said] = []
    if low >= 10:
        found.append(first + last)
    elif low:
        found += [(*first, zero, *last) for zero in ("OH", "ZERO")]
    if high > 9 and high % 10:
        hundreds = (*first, "HUNDRED")
        found += [hundreds + last, (*hundreds, "AND", *last)] if low else [hundreds]
    return found


def ordinal_readings(digits: str) -> list[Said]:
    """``21`` -> TWENTY FIRST; ``100`` -> ONE HUNDREDTH, A HUNDREDTH."""
    return [ordinal_of(said) for said in count_readings(digits)]


def ordinal_of(words: Said) -> Said:
    """``TWENTY ONE`` -> ``TWENTY FIRST``."""
    last = words[-1]
    regular = last[:-1] + "IETH" if last.endswith("Y") else last + "TH"
    return (*words[:-1], _ORDINALS.get(last, regular))


def plural_of(words: Said) -> Said:
    """``NINETEEN NINETY`` -> ``NINETEEN NINETIES``."""
    last = words[-1]
    if last.endswith("Y"):
        return (*words[:-1], last[:-1] + "IES")
    return (*words[:-1], last + ("ES" if last.endswith(("X", "S")) else "S"))


def distinct(found: list[Said]) -> list[Said]:
    """Each once, in order."""
    return list(dict.fromkeys(found))


def with_endings(starts: list[Said], ends: list[Said]) -> list[Said]:
    """Each start with each end."""
    return distinct([(*start, *end) for end in ends for start in starts])


def time_of_day(found: re.Match[str]) -> list[Said]:
    """TEN THIRTY, HALF PAST TEN.

    Args:
        found: with the groups hour, minute, second and half (``AM``, ``PM``).
    """
    hour, minute = int(found["hour"]), int(found["minute"])
    hours = _cardinal(hour)
    ways = [(*hours, *minutes) for minutes in two_digits(found["minute"])]
    if not minute:
        ways = [(*hours, "O'CLOCK"), hours, *ways, (*hours, "HUNDRED")]
    elif not found["second"]:
        ways += _past(hour, minute)
    if seconds := found["second"]:
        ends = two_digits(seconds)
        ways = with_endings(ways, [*ends, *(("AND", *end, "SECONDS") for end in ends)])
    if half := found["half"]:
        ways = with_endings(ways, [(half.strip()[0], "M")])
    elif len(found["hour"]) == 2 and found["hour"][0] == "0":
        ways += [(zero, *way) for way in list(ways) for zero in ("OH", "ZERO")]
    return ways


def two_digits(digits: str) -> list[Said]:
    """``45`` -> FORTY FIVE; ``05`` -> OH FIVE, ZERO FIVE."""
    if digits[0] != "0":
        return [_cardinal(int(digits))]
    return [by_digit(digits, zero) for zero in ("OH", "ZERO")]


def _past(hour: int, minute: int) -> list[Said]:
    """HALF PAST TEN, TWENTY TO ELEVEN, QUARTER PAST TEN."""
    if hour > 12:
        return []
    if minute == 30:
        return [("HALF", "PAST", *_cardinal(hour))]
    early = minute < 30
    links = ("PAST", "AFTER") if early else ("TO", "OF", "TILL")
    base = _cardinal(hour) if early else _cardinal(hour % 12 + 1)
    left = _cardinal(minute if early else 60 - minute)
    amounts: list[Said] = [left]
    if left == ("FIFTEEN",):
        amounts = [("QUARTER",), ("A", "QUARTER"), left]
    elif minute % 5:
        amounts = [left, (*left, "MINUTE" if left == ("ONE",) else "MINUTES")]
    return [(*amount, link, *base) for amount in amounts for link in links]
