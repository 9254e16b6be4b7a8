"""Marks in transcripts that are not said: ``[laughter]``, ``(laughs)``, ``<unk>``, ``!SIL``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from speechkit.base.characters import visible
from speechkit.base.errors import UserError

_MARK = re.compile(
    r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}"
    r"|<(?!\s)[^<>]*>"  # "a < b" is mathematics
    r"|(?<!\S)\*(?!\s)[^*]*[^*\s]\*(?!\w)|(?<!\S)\+\+\w+\+\+"
    r"|(?<!\S)!SIL\b"
)
_REMEDY = (
    "Give --drop-markup to leave such marks out with what is inside them; where the words inside "
    "are said, take the brackets away."
)


def find_marks(text: str) -> list[str]:
    """The marks in a text, outermost ones, in order.

    Brackets of every kind, ``*cough*``, ``++noise++`` and Kaldi's ``!SIL``.
    """
    return _split(text)[1]


def without_marks(text: str) -> str:
    """The text without its marks."""
    return _split(text)[0]


def refuse_marks(text: str) -> None:
    """Raise UserError that names the marks of a text, if it has any."""
    if marks := find_marks(text):
        raise UserError(
            f"The text '{short(text)}' has marks that are not words: "
            f"{', '.join(dict.fromkeys(marks))}.",
            _REMEDY,
        )


def tell_dropped(texts: Iterable[str]) -> str:
    """What dropping the marks of some texts leaves out, in one line; empty if nothing."""
    count = Counter(mark for text in texts for mark in find_marks(text))
    if not count:
        return ""
    some = ", ".join(f"{mark} ({number})" for mark, number in count.most_common(10))
    more = f" and {len(count) - 10} more kinds" if len(count) > 10 else ""
    return f"Marks that are not said are left out: {some}{more}."


def short(text: str) -> str:
    """A text as a message shows it."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _split(text: str) -> tuple[str, list[str]]:
    """The text without marks, and the marks."""
    rest = text = visible(text)
    held: list[str] = []

    def hide(match: re.Match[str]) -> str:
        held.append(match.group())
        return f" \0{len(held) - 1}\0 "  # a place for it, so that outer brackets are found

    while (hidden := _MARK.sub(hide, rest)) != rest:
        rest = hidden
    places = re.compile(r" \0(\d+)\0 ")

    def full(mark: str) -> str:
        return places.sub(lambda m: full(held[int(m[1])]), mark)

    found = [full(held[int(m[1])]) for m in places.finditer(rest)]
    return (places.sub(" ", rest) if found else text), found
