"""Names of units and of money as they are said (:mod:`speechkit.acoustic.lexicon.quantities`)."""

from __future__ import annotations

MONEY = {
    "$": ("DOLLAR", "DOLLARS"),
    "£": ("POUND", "POUNDS"),
    "€": ("EURO", "EUROS"),
    "¥": ("YEN", "YEN"),
    "₹": ("RUPEE", "RUPEES"),
}
COINS = {
    "$": ("CENT", "CENTS"),
    "£": ("PENNY", "PENCE"),
    "€": ("CENT", "CENTS"),
    "¥": ("SEN", ""),
    "₹": ("PAISA", "PAISA"),
}

Names = list[tuple[str, str]]

_LONG: dict[str, Names] = {
    "KM": [("KILOMETER", "KILOMETERS")],
    "CM": [("CENTIMETER", "CENTIMETERS")],
    "MM": [("MILLIMETER", "MILLIMETERS")],
    "KG": [("KILOGRAM", "KILOGRAMS"), ("KILO", "KILOS")],
    "MG": [("MILLIGRAM", "MILLIGRAMS")],
    "ML": [("MILLILITER", "MILLILITERS")],
    "LB": [("POUND", "POUNDS")],
    "LBS": [("POUND", "POUNDS")],
    "OZ": [("OUNCE", "OUNCES")],
    "FT": [("FOOT", "FEET")],
    "MPH": [("MILE AN HOUR", "MILES AN HOUR"), ("MILE PER HOUR", "MILES PER HOUR")],
    "KM/H": [
        ("KILOMETER PER HOUR", "KILOMETERS PER HOUR"),
        ("KILOMETER AN HOUR", "KILOMETERS AN HOUR"),
    ],
    "HZ": [("HERTZ", "HERTZ")],
    "KHZ": [("KILO HERTZ", "KILO HERTZ")],
    "MHZ": [("MEGAHERTZ", "MEGAHERTZ")],
    "GHZ": [("GIGA HERTZ", "GIGA HERTZ")],
    "KB": [("KILOBYTE", "KILOBYTES")],
    "MB": [("MEGABYTE", "MEGABYTES")],
    "GB": [("GIGABYTE", "GIGABYTES"), ("GIG", "GIGS")],
    "TB": [("TERABYTE", "TERABYTES")],
    "KW": [("KILOWATT", "KILOWATTS")],
    "MIN": [("MINUTE", "MINUTES")],
    "SEC": [("SECOND", "SECONDS")],
    "HR": [("HOUR", "HOURS")],
    "HRS": [("HOUR", "HOURS")],
    "DB": [("DECIBEL", "DECIBELS")],
    "°C": [("DEGREE CELSIUS", "DEGREES CELSIUS"), ("DEGREE CENTIGRADE", "DEGREES CENTIGRADE")],
    "°F": [("DEGREE FAHRENHEIT", "DEGREES FAHRENHEIT")],
    "°": [("DEGREE", "DEGREES")],
}
ONE_LETTER: dict[str, Names] = {
    "M": [("METER", "METERS"), ("MILLION", "MILLION"), ("MINUTE", "MINUTES"), ("MILE", "MILES")],
    "G": [("GRAM", "GRAMS")],
    "L": [("LITER", "LITERS")],
    "K": [("THOUSAND", "THOUSAND")],
    "V": [("VOLT", "VOLTS")],
    "W": [("WATT", "WATTS")],
    "A": [("AMP", "AMPS")],
    "B": [("BILLION", "BILLION"), ("BYTE", "BYTES")],
    "H": [("HOUR", "HOURS")],
    "X": [("TIMES", "TIMES")],
    "C": [("DEGREE CELSIUS", "DEGREES CELSIUS"), ("CENT", "CENTS")],
    "F": [("DEGREE FAHRENHEIT", "DEGREES FAHRENHEIT")],
    "P": [("PENNY", "PENCE")],
}
UNITS = _LONG | ONE_LETTER
"""What may follow a number at once: abbreviation -> (one, many) for each name."""

LETTERS = {unit for unit in UNITS if unit.isalpha()} - {"MIN", "SEC", "LBS", "OZ", "HRS"}
"""Those that are also spelled: FIVE G, SIXTY M P H."""

SPACED = set(_LONG)
"""Those that may stand behind a space: no words and no single letters."""
