"""Text as it is spoken: digits to words, punctuation away, letters in upper case."""

from __future__ import annotations

import re
import unicodedata

from speechkit.errors import UserError

_ONES = (
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

_SYMBOLS = {"&": "AND", "%": "PERCENT", "@": "AT", "+": "PLUS", "=": "EQUALS", "-": "MINUS"}
_CLIPPED = {"'BOUT", "'CAUSE", "'EM", "'KAY", "'N", "'ROUND", "'TIL", "'TIS", "'TWAS"}
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "‐": "-", "‑": "-", "−": "-"}
    | {"æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH"}
)
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?)"
    r"(?P<nth>(?:ST|ND|RD|TH)(?![A-Z]))?(?P<more>[.,:]?[0-9]|['’]?[A-Z]|/)?"
    r"|(?P<initials>(?<![A-Z])(?:[A-Z]\.){2,}(?:[A-Z](?![A-Z]))?)"
    r"|(?P<word>'?[A-Z]+(?:['-][A-Z]+)*'?)"
    r"|(?P<symbol>[&%@+=]|(?<![A-Z0-9])-(?=[0-9]))"
    r"|(?P<other>.)",
    re.DOTALL,
)


def normalise_text(text: str) -> list[str]:
    """Words of a text as they are said: ``"It's 3 o'clock."`` -> ``IT'S THREE O'CLOCK``.

    Upper case, without punctuation and accents; apostrophes and the hyphens inside words stay.
    Whole numbers below a thousand billion, decimals, 1st and 2nd, and ``& % @ + =`` become
    words, initials (``U.S.``) letters. Numbers with leading zeros are said digit by digit.

    Raises:
        UserError: the text has no words, has letters other than Latin ones, or a number or a
            symbol that this does not know how to say.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).upper()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    words: list[str] = []
    for match in _TOKEN.finditer(re.sub(r"(?<=[0-9]):(?=[0-9])", " ", plain)):
        if match["number"]:
            words += _say(match, text)
        elif match["initials"]:
            words += match["initials"].replace(".", "")
        elif match["word"]:
            words.append(_trim(match["word"]))
        elif match["symbol"]:
            words.append(_SYMBOLS[match["symbol"]])
        else:
            _check_unsaid(match["other"], text)
    if not words:
        raise UserError(
            f"The text '{text.strip()}' has no words." if text.strip() else "The text is empty.",
            "Give the words that are said in the recording.",
        )
    return words


def number_words(number: str, ordinal: bool = False) -> list[str]:
    """A number in words: ``"1,204"`` -> ``ONE THOUSAND TWO HUNDRED FOUR``.

    Args:
        number: digits, with commas between thousands and a decimal point if wanted.
        ordinal: ``FOURTH`` for ``FOUR``.

    Raises:
        UserError: more than twelve digits, or an ordinal of a decimal number.
    """
    whole, _, decimals = number.replace(",", "").partition(".")
    if len(whole) > _DIGITS or (ordinal and decimals):
        raise UserError(f"'{number}' is not a number that can be said in one way.", _IN_WORDS)
    if whole.startswith("0") and len(whole) > 1:
        words = [_ONES[int(digit)] for digit in whole]
    else:
        words = _cardinal(int(whole))
    if decimals:
        words += ["POINT", *(_ONES[int(digit)] for digit in decimals)]
    if ordinal:
        last = words[-1]
        regular = last[:-1] + "IETH" if last.endswith("Y") else last + "TH"
        words[-1] = _ORDINALS.get(last, regular)
    return words


_IN_WORDS = "Write it in words, as it is said in the recording."


def _cardinal(number: int) -> list[str]:
    for size, name in _GROUPS:
        if number >= size:
            rest = number % size
            return [*_cardinal(number // size), name, *(_cardinal(rest) if rest else [])]
    if number < 20:
        return [_ONES[number]]
    return [_TENS[number // 10 - 2], *([_ONES[number % 10]] if number % 10 else [])]


def _say(match: re.Match[str], text: str) -> list[str]:
    if match["more"]:  # 1990s, 5kg, 3/4, 192.168.1.1
        shown = re.match(r"\S*", match.string[match.start() :])
        raise UserError(
            f"'{shown.group() if shown else match.group()}' in the text '{_short(text)}' can be "
            "said in more than one way.",
            _IN_WORDS,
        )
    return number_words(match["number"], ordinal=bool(match["nth"]))


def _trim(word: str) -> str:
    """Without the apostrophes that are quotation marks: ``'HELLO'`` -> ``HELLO``, ``'EM`` stays."""
    word = word.removesuffix("'")
    return word if word in _CLIPPED else word.removeprefix("'")


def _check_unsaid(character: str, text: str) -> None:
    """UserError unless a character is one that is not said."""
    category = unicodedata.category(character)
    if category[0] in "LNM":
        raise UserError(
            f"'{character}' in the text '{_short(text)}' is not a letter of English.",
            "The pronunciations are English: write the text in Latin letters.",
        )
    if category in ("Sc", "Sm") or character in "#°":
        raise UserError(
            f"How to say '{character}' in the text '{_short(text)}' is not clear.", _IN_WORDS
        )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
