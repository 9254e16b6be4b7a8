"""What digits and signs stand for: years, money, times, ranges, fractions, powers, units.

Every pattern gives all the ways in which it may be said, the plainest first. The texts are
prepared by :mod:`~speechkit.acoustic.lexicon.spoken`: capitals, plain hyphens, ``^2`` for a
raised 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

from speechkit.acoustic.lexicon.clock import time_of_day
from speechkit.acoustic.lexicon.numerals import (
    Said,
    Slot,
    by_digit,
    count_readings,
    distinct,
    number_readings,
    number_words,
    ordinal_readings,
    plural_of,
    with_endings,
)
from speechkit.acoustic.lexicon.units import COINS, LETTERS, MONEY, ONE_LETTER, SPACED, UNITS

MAX_READINGS = 80  # of one piece; what has more is aligned in two pieces, one after the other

_N = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![0-9A-Z.])\.[0-9]+"
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_FAR = "|".join(sorted(map(re.escape, SPACED), key=len, reverse=True))
_ITEM = (
    rf"(?:{_N})(?:(?:ST|ND|RD|TH)(?![A-Z])|\s?%|(?:{_UNIT})(?:\^[23])?(?![A-Z0-9^])"
    rf"|\s(?:(?:{_FAR})(?:\^[23])?|M\^[23])(?![A-Z0-9^.'-])|'?S(?![A-Z0-9])|\s?[AP]M(?![A-Z0-9'-])"
    r"|[A-Z](?![A-Z0-9'^-])|\^-?[0-9]+)?"
)
_PARTS = re.compile(
    rf"(?P<number>{_N})(?:(?P<nth>ST|ND|RD|TH)|(?P<percent>\s?%)|(?P<half>\s?[AP]M)"
    rf"|\s?(?P<unit>{_UNIT})(?:\^(?P<raised>[23]))?|(?P<plural>'?S)|(?P<letter>[A-Z])"
    r"|\^(?P<power>-?[0-9]+))?"
)
_JOINTS: dict[str, list[Said]] = {
    "-": [
        ("TO",),
        (),
        ("MINUS",),
        ("DASH",),
        ("THROUGH",),
        ("TILL",),
        ("OR",),
    ],  # likely ones first
    ":": [("TO",), ()],
    "X": [("BY",), ("TIMES",), ("X",)],
    ".": [("DOT",), ("POINT",)],
}
_JOINT = {"-": r"\s?-\s?", ":": ":", "X": r"\s?X\s?", ".": r"\."}
_SCALES = {"K": "THOUSAND", "M": "MILLION", "BN": "BILLION", "B": "BILLION"}
_WORDS_OF_SCALE = ("THOUSAND", "MILLION", "BILLION", "TRILLION")
_SIGNS = "".join(MONEY)


def _item(text: str) -> list[Said]:
    """A number with what is written at its end: ``1990S``, ``5KG``, ``50%``, ``5^2``."""
    found = _PARTS.fullmatch(text)
    assert found is not None, text
    number = found["number"]
    said = number_readings(number)
    if found["nth"]:
        plain = number.replace(",", "")
        if "." in plain:
            return []
        return ordinal_readings(plain) or [tuple(number_words(plain, ordinal=True))]
    if found["percent"]:
        return with_endings(said, [("PERCENT",)])
    if half := found["half"]:
        endings: list[Said] = [(half.strip()[0], "M")]
        if half == " AM":  # or the word, as in "of the 10 am I the last"
            endings.append(("AM",))
        return with_endings([*said, *((*s, "O'CLOCK") for s in said)], endings)
    if found["unit"]:
        return _with_unit(number, said, found["unit"], found["raised"])
    if found["plural"]:
        return _plurals(said, found["plural"], number)
    if found["letter"]:
        return with_endings(said, [(found["letter"],)])
    if found["power"]:
        return with_endings(said, power_readings(found["power"]))
    return said


def _with_unit(number: str, said: list[Said], unit: str, raised: str | None) -> list[Said]:
    """FIVE KILOMETERS, ONE KILOMETER; FIVE K M."""
    found: list[Said] = []
    for one, many in UNITS[unit][: 1 if raised else None]:
        name = tuple((one if number == "1" else many).split())
        if raised:
            shape, after = ("SQUARE", "SQUARED") if raised == "2" else ("CUBIC", "CUBED")
            found += [(shape, *name), (*name, after)]
        else:
            found.append(name)
    if unit in LETTERS and not raised:
        found.append(tuple(unit.replace("/", "")))
    starts = said + ([("A",)] if number == "1" and unit not in ONE_LETTER else [])
    return with_endings(starts, found)


def _plurals(said: list[Said], ending: str, number: str) -> list[Said]:
    """NINETEEN NINETIES for ``1990S``, EIGHTY FOUR'S for ``84'S``."""
    if ending == "S" or number.endswith("0"):
        return [plural_of(words) for words in said]
    return [(*words[:-1], words[-1] + "'S") for words in said]


def power_readings(power: str) -> list[Said]:
    """What follows a base: SQUARED, TO THE POWER OF TWO, TO THE SECOND [POWER]."""
    number, sign = power.removeprefix("-"), ("MINUS",) * power.startswith("-")
    short = {"2": [("SQUARED",)], "3": [("CUBED",)]}.get(power, [])
    plain = (*sign, *number_words(number))
    nth = (*sign, *number_words(number, ordinal=True))
    to = ("TO", "THE")
    return [*short, (*to, "POWER", "OF", *plain), (*to, *plain),
            (*to, *nth), (*to, *nth, "POWER")]  # fmt: skip


def _range(found: re.Match[str]) -> list[Slot]:
    """``3-4``, ``1939-45``, ``555-1234``, ``10:2``, ``4X4``, ``192.168.1.1``."""
    text = found.group()
    sign = found["joint"].strip()[0] if found["joint"][0] not in "0123456789" else "."
    part, joint = re.compile({"-": _ITEM, ".": "[0-9]+"}.get(sign, _N)), re.compile(_JOINT[sign])
    slots: list[Slot] = []
    at = 0
    while at < len(text):
        between = joint.match(text, at) if slots else None
        begin = between.end() if between else at
        number = part.match(text, begin)
        assert number is not None, text
        said = _item(number.group())
        if slots:
            joints = _JOINTS[sign] if len(said) <= 4 else _JOINTS[sign][:4]
            said = [(*j, *s) for j in joints for s in said]
        slots.append((text[at : number.end()], said))
        at = number.end()
    return joined(slots)


def joined(slots: list[Slot]) -> list[Slot]:
    """Pieces that belong together as one, where their readings are not too many."""
    count = 1
    for _, readings in slots:
        count *= len(readings)
    if count > MAX_READINGS:
        return slots
    ways = [sum(choice, ()) for choice in product(*(readings for _, readings in slots))]
    return [("".join(piece for piece, _ in slots), distinct(ways))]


def _fraction(found: re.Match[str]) -> list[Slot]:
    """``3/4``, ``2 1/2``."""
    top, bottom = found["top"], found["bottom"]
    tops, bottoms = whole(top), whole(bottom)
    names = {"2": [("HALF",)], "4": [("QUARTER",), ("FOURTH",)]}.get(
        bottom, [] if bottom in ("0", "1") else ordinal_readings(bottom)
    )
    parts: list[Said] = []
    for name in names:
        if top == "1":
            parts += [("ONE", *name), ("A", *name)]
        else:
            many = ("HALVES",) if name == ("HALF",) else plural_of(name)
            parts += [(*t, *many) for t in tops]
    if found["whole"]:
        ways: list[Said] = [
            (*w, "AND", *part) for w in whole(found["whole"]) for part in parts
        ]  # fmt: skip
        ways += [(*w, *part) for w in whole(found["whole"]) for part in parts]
        return [(found.group(), distinct(ways))]
    if top == "1" and bottom == "2":
        parts.append(("HALF",))
    links: list[Said] = [("OVER",), ("SLASH",), (), ("OUT", "OF"), ("OF",), ("DIVIDED", "BY")]
    parts += [(*a, *link, *b) for link in links for a in tops for b in bottoms]
    slot = (found.group(), distinct(parts))
    return [slot]


def whole(digits: str) -> list[Said]:
    """A count, or digit by digit where it begins with 0."""
    return number_readings(digits) if digits.startswith("0") else count_readings(digits)


def _money(found: re.Match[str]) -> list[Slot]:
    """``$5``, ``$5.20``, ``£2.5M``, ``5 €``."""
    sign = found["sign"] or found["after"]
    number = found["amount"]
    one, many = MONEY[sign]
    scale = found["scale"]
    if scale:
        words = (_SCALES.get(scale.strip(), scale.strip()),)
        ways = [(*a, *words, many) for a in number_readings(number)]
        return [(found.group(), distinct(ways))]
    units, _, rest = number.partition(".")
    amounts = number_readings(units or "0")
    if len(rest) != 2:
        if rest:
            return [(found.group(), [(*a, many) for a in number_readings(number)])]
        names = [one] if units == "1" else [many] if many == one else [many, one]
        ways = [(*a, name) for name in names for a in amounts]
        return [(found.group(), distinct(ways + ([("A", one)] if units == "1" else [])))]
    name = one if units == "1" else many
    ways = []
    coin, coins = COINS[sign]
    small = tuple(number_words(str(int(rest))))
    ends = [(*small, coin if small == ("ONE",) else coins)] if coins else []
    if sign == "£":
        ends.append((*small, "P"))
    if int(rest):
        for amount in amounts:
            ways += [(*amount, name, *link, *end) for end in ends for link in (("AND",), ())]
            ways.append((*amount, name, *small))
        if int(units or 0):
            low = [small] if rest[0] != "0" else [by_digit(rest, z) for z in ("OH", "ZERO")]
            ways += [(*amount, *end) for amount in amounts for end in low]
        else:
            ways = [*ends, *ways]
    else:
        ways = [(*amount, name) for amount in amounts]
    ways += [(*a, many) for a in number_readings(number)]
    return [(found.group(), distinct(ways))]


def _short_year(found: re.Match[str]) -> list[Slot]:
    """``'84``, ``'90S``."""
    years = number_readings(found["year"])
    if found["year"][0] == "0":
        years = [by_digit(found["year"], zero) for zero in ("OH", "ZERO")]
    said = [plural_of(year) for year in years] if found["plural"] else years
    return [(found.group(), said)]


def _one(found: re.Match[str]) -> list[Slot]:
    return [(found.group(), _item(found.group()))]


def _negative(found: re.Match[str]) -> list[Slot]:
    """``-5``; the hyphen may also be a dash."""
    signs: list[Said] = [("MINUS",), ("NEGATIVE",), ()]
    return [(found.group(), [(*sign, *said) for sign in signs for said in _item(found["item"])])]


def _refused(found: re.Match[str]) -> list[Slot]:
    """A date: its month may be the first number or the second."""
    return [(found.group(), [])]


def _hash(found: re.Match[str]) -> list[Slot]:
    names: list[Said] = [("NUMBER",), ("HASH",), ("POUND",)]
    return [(found.group(), with_endings(names, number_readings(found["number"])))]


def _power(found: re.Match[str]) -> list[Slot]:
    return [(found.group(), power_readings(found["power"]))]


PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Slot]]], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (
            rf"(?:(?P<sign>[{_SIGNS}])\s?(?P<amount>{_N})"
            rf"(?P<scale>\s(?:{'|'.join(_WORDS_OF_SCALE)})(?![A-Z'-])|(?:BN|[KMB])(?![A-Z0-9'-]))?"
            r"(?P<after>)(?![A-Z0-9/]))",
            _money,
        ),
        (rf"(?P<sign>)(?P<amount>{_N})(?P<scale>)\s?(?P<after>[{_SIGNS}])(?![0-9])", _money),
        (r"[0-9]+/[0-9]+/[0-9]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])", _refused),
        (
            r"(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?"
            r"(?![0-9]|[:.,/-][0-9])(?P<half>\s?[AP]M(?![A-Z0-9'-]))?",
            time_of_day,
        ),
        (
            r"(?:(?P<whole>[0-9]+)\s)?(?P<top>[0-9]{1,4})[/⁄](?P<bottom>[0-9]{1,4})"
            r"(?![0-9/⁄A-Z]|[.,:-][0-9])",
            _fraction,
        ),
        (r"(?P<joint>[0-9]+(?:\.[0-9]+){2,})(?![0-9.,:/-]*[0-9])", _range),
        (
            rf"(?:{_ITEM})(?P<joint>(?:-\s?|\s-\s)(?:{_ITEM}))(?:-(?:{_N}))*"
            r"(?![.,:/^-]?[0-9]|['’]?[A-Z]|/)",
            _range,
        ),
        (rf"(?:{_N})(?P<joint>(?:\s?X\s?|:)(?:{_N}))(?![.,:/^-]?[0-9]|['’]?[A-Z]|/)", _range),
        (rf"#\s?(?P<number>{_N})", _hash),
        (r"'(?P<year>[0-9]{2})(?P<plural>S)?(?![0-9A-Z])", _short_year),
        (rf"(?<![A-Z0-9-])-(?P<item>{_ITEM})", _negative),
        (_ITEM, _one),
        (r"\^(?P<power>-?[0-9]+)", _power),
    )
)
