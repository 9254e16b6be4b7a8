"""Text normalisation: digits and signs to words, punctuation away, letters in upper case.

What can be said in more than one way (``1984``, ``3-4``, ``$5``) has all its readings; the
alignment takes the likeliest (:mod:`speechkit.acoustic.lexicon.readings`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from speechkit.acoustic.lexicon.numbers import IN_WORDS, Said, Slot
from speechkit.base.errors import UserError
from speechkit.base.text import refuse_marks, short, visible

_SYMBOLS: dict[str, list[Said]] = {
    "&": [("AND",)],
    "%": [("PERCENT",)],
    "@": [("AT",)],
    "+": [("PLUS",)],
    "=": [("EQUALS",), ("IS",), ("IS", "EQUAL", "TO")],
    "-": [("MINUS",), ("NEGATIVE",)],
    "×": [("TIMES",), ("BY",)],
    "÷": [("DIVIDED", "BY")],
    "±": [("PLUS", "OR", "MINUS"), ("PLUS", "MINUS")],
    "NO.": [("NO",), ("NUMBER",)],
}
_CLIPPED = {"'BOUT", "'CAUSE", "'EM", "'KAY", "'N", "'ROUND", "'TIL", "'TIS", "'TWAS"}
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "−": "-", "–": "-", "—": "-"}
    | {"æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH"}
)
_RAISED = {c: unicodedata.normalize("NFKD", c) for c in "⁰¹²³⁴⁵⁶⁷⁸⁹"} | {"⁻": "-"}
_WORD = re.compile(
    r"(?P<initials>(?<![A-Z])(?:[A-Z]\.){2,}(?:[A-Z](?![A-Z]))?)"
    r"|(?P<number>(?<![A-Z0-9])NO\.(?=\s?[0-9]))"
    r"|(?P<word>'?[A-Z]+(?:['-][A-Z]+)*'?)"
)
_SIGN = re.compile(r"[&%@+=×÷±]|(?<![A-Z0-9-])-(?=[$£€¥₹])")
_STARTS = frozenset("0123456789$£€¥₹.#-'^")  # of quantities
_MORE = re.compile(r"[.,:/^]?[0-9]|['’]?[A-Z]|/|-\s?[$£€¥₹#0-9]")


@dataclass(frozen=True)
class Token:
    """A piece of a text.

    Args:
        written: as it stands in the text.
        readings: each way to say it, the plainest first, in capitals.
        first: number of the written word (between spaces) that it begins in.
        last: and of the one that it ends in.
    """

    written: str
    readings: tuple[Said, ...]
    first: int = 0
    last: int = 0


def normalise_text(text: str) -> list[str]:
    """Words of a text that can be said in one way: ``"It's 3 o'clock."`` -> ``IT'S THREE O'CLOCK``.

    Upper case, without punctuation and accents; apostrophes and the hyphens inside words stay.
    Numbers below a hundred, 1st and 2nd, and ``& % @ +`` become words, initials (``U.S.``)
    letters.

    Raises:
        UserError: as :func:`tokens_of`, or the text has several readings (which it names).
    """
    tokens = tokens_of(text)
    refuse_several(tokens, text)
    return [word for token in tokens for word in token.readings[0]]


def refuse_several(tokens: list[Token], text: str) -> None:
    """Raise UserError that shows the readings, where a text has several."""
    several = [token for token in tokens if len(token.readings) > 1]
    if not several:
        return
    lines = [f"'{token.written}': {listed(token.readings)}" for token in several]
    raise UserError(
        f"The text '{short(text)}' can be said in more than one way. " + "; ".join(lines) + ".",
        f"{IN_WORDS} Or let the likeliest be taken with `readings` likeliest.",
    )


def listed(readings: tuple[Said, ...], limit: int = 12) -> str:
    """Readings in one line: ``nineteen eighty four | one nine eight four``."""
    some = " | ".join(" ".join(words).lower() for words in readings[:limit])
    more = len(readings) - limit
    return some + (f" | {more} more" if more > 0 else "")


def tokens_of(text: str) -> list[Token]:
    """The pieces of a text in order, each with its readings.

    Raises:
        UserError: the text has no words, has letters other than Latin ones, marks that are not
            words (``[laughter]``), or a number or a sign that this does not know how to say.
    """
    refuse_marks(text)
    text = visible(text)
    plain, origin = _plain(text)
    numbers = _word_numbers(text)
    found: list[Token] = []
    at = 0

    def add(piece: int, readings: list[Said]) -> None:
        nonlocal at
        first, last = origin[at], origin[at + piece - 1]
        written = text[first : last + 1].strip()
        found.append(Token(written, tuple(readings), numbers[first], numbers[last]))
        at += piece

    while at < len(plain):
        if word := _WORD.match(plain, at):
            add(len(word.group()), _words(word))
        elif plain[at].isspace():
            at += 1
        elif slots := _quantity(plain, at, text):
            for piece, readings in slots:
                add(len(piece), readings)
        elif sign := _SIGN.match(plain, at):
            add(1, _SYMBOLS[sign.group()])
        else:
            _check_unsaid(plain[at], text)
            at += 1
    if not found:
        raise UserError(
            f"The text '{text.strip()}' has no words." if text.strip() else "The text is empty.",
            "Give the words that are said in the recording.",
        )
    return found


def _words(match: re.Match[str]) -> list[Said]:
    if match["initials"]:
        return [tuple(match["initials"].replace(".", ""))]
    if match["number"]:
        return _SYMBOLS["NO."]
    return [(_trim(match["word"]),)]


def _quantity(plain: str, at: int, text: str) -> list[Slot]:
    """What digits and signs here stand for, in one piece or several; none if nothing does."""
    if plain[at] not in _STARTS:
        return []
    from speechkit.acoustic.lexicon.quantities import quantity_at  # most texts do without

    if not (found := quantity_at(plain, at)):
        return []
    match, slots = found
    followed = match.group()[-1].isalnum() and _MORE.match(plain, match.end())
    if followed or not all(readings for _, readings in slots):  # 2day, 1/2/2020, 2.5TH
        shown = re.match(r"\S*", plain[at:])
        raise UserError(
            f"'{shown.group() if shown else match.group()}' in the text '{short(text)}' can be "
            "said in more ways than are known here.",
            IN_WORDS,
        )
    return slots


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """Capitals without accents, ``^2`` for a raised 2; and where each character is from."""
    if text.isascii():
        return text.upper(), range(len(text))
    parts: list[str] = []
    origin: list[int] = []
    raised = False
    for place, character in enumerate(text):
        new = _RAISED.get(character)
        if new is not None:
            new, raised = new if raised else f"^{new}", True
        else:
            raised = False
            new = character if character.isascii() else _latin(character)
            if "⁄" in new and parts and parts[-1][-1:].isdigit():
                new = f" {new}"  # 2½
            new = new.upper()
        if new:
            parts.append(new)
            origin += [place] * len(new)
    return "".join(parts), origin


def _latin(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character.translate(_PLAIN))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _word_numbers(text: str) -> list[int]:
    """For each character the number of written words before it (its own not counted)."""
    numbers: list[int] = []
    for count, word in enumerate(re.finditer(r"\S+\s*", text)):
        numbers += [count] * (word.end() - len(numbers))
    return numbers


def _trim(word: str) -> str:
    """Without the apostrophes that are quotation marks: ``'HELLO'`` -> ``HELLO``, ``'EM`` stays."""
    word = word.removesuffix("'")
    return word if word in _CLIPPED else word.removeprefix("'")


def _check_unsaid(character: str, text: str) -> None:
    """UserError unless a character is one that is not said."""
    category = unicodedata.category(character)
    if category[0] in "LNM":
        raise UserError(
            f"'{character}' in the text '{short(text)}' is not a letter of English.",
            "The pronunciations are English: write the text in Latin letters.",
        )
    if category in ("Sc", "Sm") or character in "#°[]{}":
        raise UserError(
            f"How to say '{character}' in the text '{short(text)}' is not clear.", IN_WORDS
        )
