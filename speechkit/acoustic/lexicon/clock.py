"""Times of the day in words."""

from __future__ import annotations

import re

from speechkit.acoustic.lexicon.numerals import (
    Said,
    Slot,
    by_digit,
    distinct,
    number_words,
    with_endings,
)


def time_of_day(found: re.Match[str]) -> list[Slot]:
    """TEN THIRTY, HALF PAST TEN.

    Args:
        found: with the groups hour, minute, second and half (``AM``, ``PM``).
    """
    hour, minute = int(found["hour"]), int(found["minute"])
    hours, minutes = tuple(number_words(str(hour))), tuple(number_words(str(minute)))
    after = tuple(number_words(str(hour % 12 + 1)))
    digits = [by_digit(found["minute"], zero) for zero in ("OH", "ZERO")]
    ways: list[Said] = [(*hours, *minutes)] if minute > 9 else [(*hours, *d) for d in digits]
    if not minute:
        ways = [(*hours, "O'CLOCK"), hours, *ways, (*hours, "HUNDRED")]
    elif not found["second"]:
        ways += _past(hour, minute, hours, after)
    if found["second"]:
        seconds = found["second"]
        ends = [tuple(number_words(seconds))] if seconds[0] != "0" else [
            by_digit(seconds, zero) for zero in ("OH", "ZERO")
        ]  # fmt: skip
        ways = with_endings(ways, [*ends, *(("AND", *e, "SECONDS") for e in ends)])
    if half := found["half"]:
        ways = with_endings(ways, [(half.strip()[0], "M")])
    if not found["half"] and len(found["hour"]) == 2 and found["hour"][0] == "0":
        ways += [(zero, *way) for way in list(ways) for zero in ("OH", "ZERO")]
    return [(found.group(), distinct(ways))]


def _past(hour: int, minute: int, hours: Said, after: Said) -> list[Said]:
    """HALF PAST TEN, TWENTY TO ELEVEN, QUARTER PAST TEN."""
    if hour > 12:
        return []
    if minute == 30:
        return [("HALF", "PAST", *hours)]
    words = ("PAST", "AFTER") if minute < 30 else ("TO", "OF", "TILL")
    base = hours if minute < 30 else after
    left = tuple(number_words(str(minute if minute < 30 else 60 - minute)))
    amounts: list[Said] = [left]
    if left == ("FIFTEEN",):
        amounts = [("QUARTER",), ("A", "QUARTER"), left]
    elif minute % 5:
        amounts = [left, (*left, "MINUTES" if left != ("ONE",) else "MINUTE")]
    return [(*amount, word, *base) for amount in amounts for word in words]
