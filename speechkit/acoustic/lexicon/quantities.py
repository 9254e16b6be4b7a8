"""What digits and signs stand for: years, money, times, ranges, fractions, powers, units.

Every pattern gives all the ways in which it may be said, the plainest first. The texts are
prepared by :mod:`~speechkit.acoustic.lexicon.text`: capitals, plain hyphens, ``^2`` for a
raised 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import product

from speechkit.acoustic.lexicon.numbers import (
    Said,
    Slot,
    count_readings,
    distinct,
    number_readings,
    number_words,
    ordinal_readings,
    plural_of,
    time_of_day,
    two_digits,
    with_endings,
)

MONEY = {
    **{"$": ("DOLLAR", "DOLLARS"), "£": ("POUND", "POUNDS"), "€": ("EURO", "EUROS")},
    **{"¥": ("YEN", "YEN"), "₹": ("RUPEE", "RUPEES")},
}
COINS = {
    **{"$": ("CENT", "CENTS"), "£": ("PENNY", "PENCE"), "€": ("CENT", "CENTS"), "¥": ("SEN", "")},
    "₹": ("PAISA", "PAISA"),
}
# Abbreviation -> its names, the likeliest first, in the singular.
_LONG = {
    **{"KM": "KILOMETER", "CM": "CENTIMETER", "MM": "MILLIMETER", "KG": "KILOGRAM|KILO"},
    **{"MG": "MILLIGRAM", "ML": "MILLILITER", "LB": "POUND", "LBS": "POUND", "OZ": "OUNCE"},
    **{"FT": "FOOT", "MPH": "MILE AN HOUR|MILE PER HOUR"},
    **{"KM/H": "KILOMETER PER HOUR|KILOMETER AN HOUR", "HZ": "HERTZ", "KHZ": "KILO HERTZ"},
    **{"MHZ": "MEGAHERTZ", "GHZ": "GIGA HERTZ", "KB": "KILOBYTE", "MB": "MEGABYTE"},
    **{"GB": "GIGABYTE|GIG", "TB": "TERABYTE", "KW": "KILOWATT", "MIN": "MINUTE"},
    **{"SEC": "SECOND", "HR": "HOUR", "HRS": "HOUR", "DB": "DECIBEL"},
    **{"°C": "DEGREE CELSIUS|DEGREE CENTIGRADE", "°F": "DEGREE FAHRENHEIT", "°": "DEGREE"},
}
_ONE_LETTER = {
    **{"M": "METER|MILLION|MINUTE|MILE", "G": "GRAM", "L": "LITER", "K": "THOUSAND"},
    **{"V": "VOLT", "W": "WATT", "A": "AMP", "B": "BILLION|BYTE", "H": "HOUR", "X": "TIMES"},
    **{"C": "DEGREE CELSIUS|CENT", "F": "DEGREE FAHRENHEIT", "P": "PENNY"},
}
_MANY = {"FOOT": "FEET", "PENNY": "PENCE"} | {
    name: name for name in ("THOUSAND", "MILLION", "BILLION", "TIMES")
}


def _one_and_many(name: str) -> tuple[str, str]:
    """``MILE AN HOUR`` -> MILE AN HOUR, MILES AN HOUR."""
    first, *rest = name.split()
    many = name if name.endswith("HERTZ") else " ".join([_MANY.get(first, first + "S"), *rest])
    return name, many


UNITS = {
    unit: [_one_and_many(name) for name in names.split("|")]
    for unit, names in (_LONG | _ONE_LETTER).items()
}
"""What may follow a number at once: abbreviation -> (one, many) for each name."""

_LETTERS = {unit for unit in UNITS if unit.isalpha()} - {"MIN", "SEC", "LBS", "OZ", "HRS"}
"""Those that are also spelled: FIVE G, SIXTY M P H."""

MAX_READINGS = 80  # of one piece; what has more is aligned in two pieces, one after the other

_N = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![0-9A-Z.])\.[0-9]+"
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_FAR = "|".join(sorted(map(re.escape, _LONG), key=len, reverse=True))
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
_JOINTS: dict[str, list[Said]] = {  # likely ones first
    "-": [("TO",), (), ("MINUS",), ("DASH",), ("THROUGH",), ("TILL",), ("OR",)],
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
        return ordinal_readings(plain) or [number_words(plain, ordinal=True)]
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
        return with_endings(said, _power_readings(found["power"]))
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
    if unit in _LETTERS and not raised:
        found.append(tuple(unit.replace("/", "")))
    starts = said + ([("A",)] if number == "1" and unit not in _ONE_LETTER else [])
    return with_endings(starts, found)


def _plurals(said: list[Said], ending: str, number: str) -> list[Said]:
    """NINETEEN NINETIES for ``1990S``, EIGHTY FOUR'S for ``84'S``."""
    if ending == "S" or number.endswith("0"):
        return [plural_of(words) for words in said]
    return [(*words[:-1], words[-1] + "'S") for words in said]


def _power_readings(power: str) -> list[Said]:
    """What follows a base: SQUARED, TO THE POWER OF TWO, TO THE SECOND [POWER]."""
    number, sign = power.removeprefix("-"), ("MINUS",) * power.startswith("-")
    short = {"2": [("SQUARED",)], "3": [("CUBED",)]}.get(power, [])
    plain = ("TO", "THE", *sign, *number_words(number))
    nth = ("TO", "THE", *sign, *number_words(number, ordinal=True))
    return [*short, ("TO", "THE", "POWER", "OF", *plain[2:]), plain, nth, (*nth, "POWER")]


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
    return _joined(slots)


def _joined(slots: list[Slot]) -> list[Slot]:
    """Pieces that belong together as one, where their readings are not too many."""
    if math.prod(len(readings) for _, readings in slots) > MAX_READINGS:
        return slots
    ways = [sum(choice, ()) for choice in product(*(readings for _, readings in slots))]
    return [("".join(piece for piece, _ in slots), distinct(ways))]


def _fraction(found: re.Match[str]) -> list[Said]:
    """``3/4``, ``2 1/2``."""
    top, bottom = found["top"], found["bottom"]
    tops, bottoms = _whole(top), _whole(bottom)
    special: dict[str, list[Said]] = {"2": [("HALF",)], "4": [("QUARTER",), ("FOURTH",)]}
    names = special.get(bottom, [] if bottom in ("0", "1") else ordinal_readings(bottom))
    parts: list[Said] = []
    for name in names:
        if top == "1":
            parts += [("ONE", *name), ("A", *name)]
        else:
            many = ("HALVES",) if name == ("HALF",) else plural_of(name)
            parts += [(*t, *many) for t in tops]
    if found["whole"]:
        wholes = _whole(found["whole"])
        links: list[Said] = [("AND",), ()]
        return [(*w, *link, *part) for link in links for w in wholes for part in parts]
    if top == "1" and bottom == "2":
        parts.append(("HALF",))
    links = [("OVER",), ("SLASH",), (), ("OUT", "OF"), ("OF",), ("DIVIDED", "BY")]
    return parts + [(*a, *link, *b) for link in links for a in tops for b in bottoms]


def _whole(digits: str) -> list[Said]:
    """A count, or digit by digit where it begins with 0."""
    return number_readings(digits) if digits.startswith("0") else count_readings(digits)


def _money(found: re.Match[str]) -> list[Said]:
    """``$5``, ``$5.20``, ``£2.5M``, ``5 €``."""
    sign, number = found["sign"] or found["after"], found["amount"]
    one, many = MONEY[sign]
    units, _, cents = number.partition(".")
    if scale := (found["scale"] or "").strip():
        word = _SCALES.get(scale, scale)
        ways = [(*amount, word, many) for amount in number_readings(number)]
    elif len(cents) == 2:
        ways = _with_cents(sign, units, cents)
        ways += [(*amount, many) for amount in number_readings(number)]
    elif cents:
        ways = [(*amount, many) for amount in number_readings(number)]
    else:
        names = [one] if units == "1" else [many] if many == one else [many, one]
        ways = [(*amount, name) for name in names for amount in number_readings(units or "0")]
        ways += [("A", one)] if units == "1" else []
    return ways


def _with_cents(sign: str, units: str, cents: str) -> list[Said]:
    """FIVE DOLLARS AND TWENTY CENTS, FIVE DOLLARS TWENTY, FIVE TWENTY."""
    name, amounts = MONEY[sign][units != "1"], number_readings(units or "0")
    if not int(cents):
        return [(*amount, name) for amount in amounts]
    coin, coins = COINS[sign]
    small = number_words(str(int(cents)))
    ends: list[Said] = [(*small, coin if small == ("ONE",) else coins)] if coins else []
    if sign == "£":
        ends.append((*small, "P"))
    ways: list[Said] = []
    for amount in amounts:
        ways += [(*amount, name, *link, *end) for end in ends for link in (("AND",), ())]
        ways.append((*amount, name, *small))
    if not int(units or 0):
        return [*ends, *ways]
    return ways + [(*amount, *end) for amount in amounts for end in two_digits(cents)]


def _short_year(found: re.Match[str]) -> list[Said]:
    """``'84``, ``'90S``."""
    year = found["year"]
    years = two_digits(year) if year[0] == "0" else number_readings(year)
    return [plural_of(said) for said in years] if found["plural"] else years


def _negative(found: re.Match[str]) -> list[Said]:
    """``-5``; the hyphen may also be a dash."""
    signs: list[Said] = [("MINUS",), ("NEGATIVE",), ()]
    return [(*sign, *said) for sign in signs for said in _item(found["item"])]


def _hash(found: re.Match[str]) -> list[Said]:
    return with_endings([("NUMBER",), ("HASH",), ("POUND",)], number_readings(found["number"]))


def quantity_at(text: str, at: int) -> tuple[re.Match[str], list[Slot]] | None:
    """What stands at a place of a text, and its readings: those of one piece or of several."""
    for pattern, say in _PATTERNS:
        if found := pattern.match(text, at):
            return found, _range(found) if say is None else [(found.group(), distinct(say(found)))]
    return None


_Say = Callable[[re.Match[str]], list[Said]]
# The first that fits counts. Of a date the month may be the first number or the second: no reading.
_PATTERNS: tuple[tuple[re.Pattern[str], _Say | None], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (
            rf"(?:(?P<sign>[{_SIGNS}])\s?(?P<amount>{_N})"
            rf"(?P<scale>\s(?:{'|'.join(_WORDS_OF_SCALE)})(?![A-Z'-])|(?:BN|[KMB])(?![A-Z0-9'-]))?"
            r"(?P<after>)(?![A-Z0-9/]))",
            _money,
        ),
        (rf"(?P<sign>)(?P<amount>{_N})(?P<scale>)\s?(?P<after>[{_SIGNS}])(?![0-9])", _money),
        (r"[0-9]+/[0-9]+/[0-9]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])", lambda found: []),
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
        (r"(?P<joint>[0-9]+(?:\.[0-9]+){2,})(?![0-9.,:/-]*[0-9])", None),
        (
            rf"(?:{_ITEM})(?P<joint>(?:-\s?|\s-\s)(?:{_ITEM}))(?:-(?:{_N}))*"
            r"(?![.,:/^-]?[0-9]|['’]?[A-Z]|/)",
            None,
        ),
        (rf"(?:{_N})(?P<joint>(?:\s?X\s?|:)(?:{_N}))(?![.,:/^-]?[0-9]|['’]?[A-Z]|/)", None),
        (rf"#\s?(?P<number>{_N})", _hash),
        (r"'(?P<year>[0-9]{2})(?P<plural>S)?(?![0-9A-Z])", _short_year),
        (rf"(?<![A-Z0-9-])-(?P<item>{_ITEM})", _negative),
        (_ITEM, lambda found: _item(found.group())),
        (r"\^(?P<power>-?[0-9]+)", lambda found: _power_readings(found["power"])),
    )
)
