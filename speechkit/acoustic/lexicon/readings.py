"""Readings of a text side by side: which words may be said in place of which, and which were.

The words of all readings stand in one list, in the order of the text; a :class:`Choice` says
which of them are readings of one piece. Words that no choice names are said in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.acoustic.lexicon.numerals import IN_WORDS
from speechkit.acoustic.lexicon.spoken import Token, refuse_several, tokens_of
from speechkit.base.errors import UserError, require_choice
from speechkit.base.log import logger
from speechkit.base.tables import write_tsv
from speechkit.base.text import tell_dropped, without_marks

MAX_WORDS = 20_000  # of all readings of what can be said in several ways, in one text
READINGS = ("likeliest", "error")


@dataclass(frozen=True)
class Policy:
    """What is done about texts that are not plain words.

    Args:
        readings: where a text can be said in several ways: ``likeliest`` aligns all of them and
            takes the likeliest, ``error`` refuses the text and shows them.
        drop_markup: leave marks like ``[laughter]`` out; otherwise they are refused.
    """

    readings: str = "likeliest"
    drop_markup: bool = False

    def __post_init__(self) -> None:
        require_choice("readings", self.readings, READINGS)

    def params(self) -> dict[str, Any]:
        """For a manifest: what is not the default."""
        found: dict[str, Any] = {}
        if self.readings != READINGS[0]:
            found["readings"] = self.readings
        if self.drop_markup:
            found["drop_markup"] = True
        return found

    def tokens(self, text: str) -> list[Token]:
        """The pieces of a text.

        Raises:
            UserError: as :func:`speechkit.acoustic.lexicon.spoken.tokens_of`, or what the policy
                refuses.
        """
        tokens = tokens_of(without_marks(text) if self.drop_markup else text)
        if self.readings == "error":
            refuse_several(tokens, text)
        return tokens

    def tell(self, texts: Sequence[str]) -> None:
        """Say once which marks are left out of some texts."""
        if self.drop_markup and (line := tell_dropped(texts)):
            logger.warning(line)


@dataclass(frozen=True)
class Choice:
    """A piece of a text that can be said in several ways.

    Args:
        written: as it stands in the text.
        spans: of each reading the number of its first word and that after its last; they lie
            one behind the other.
    """

    written: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reading:
    """How a piece of a text was read.

    Args:
        written: as it stands in the text.
        said: the words that fit the audio best.
        others: the readings that fit it less.
        words: numbers of the first and the last of its words among those that are said.
    """

    written: str
    said: str
    others: tuple[str, ...]
    words: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "written": self.written,
            "said": self.said,
            "words": list(self.words),
            "others": list(self.others),
        }


def as_field(readings: Sequence[Reading]) -> dict[str, Any]:
    """The field ``readings`` of a result; none where nothing could be said in several ways."""
    return {"readings": [reading.as_dict() for reading in readings]} if readings else {}


def readings_of(row: Mapping[str, Any]) -> list[Reading]:
    """The reverse of :func:`as_field`."""
    return [
        Reading(each["written"], each["said"], tuple(each["others"]), tuple(each["words"]))
        for each in row.get("readings", ())
    ]


def lay_out(tokens: Sequence[Token]) -> tuple[tuple[str, ...], tuple[Choice, ...]]:
    """The words of all readings one behind the other, and the choices among them.

    Raises:
        UserError: there are too many readings to align them all.
    """
    words: list[str] = []
    choices = []
    for token in tokens:
        spans = []
        for reading in token.readings:
            spans.append((len(words), len(words) + len(reading)))
            words += reading
        if len(spans) > 1:
            choices.append(Choice(token.written, tuple(spans)))
    count = sum(choice.spans[-1][1] - choice.spans[0][0] for choice in choices)
    if count > MAX_WORDS:
        raise UserError(
            f"{len(choices)} pieces of the text can be said in so many ways ({count} words) that "
            f"they cannot all be aligned; at most {MAX_WORDS} words can.",
            f"{IN_WORDS} Or cut the recording and its text into parts.",
        )
    return tuple(words), tuple(choices)


def slots_of(count: int, choices: Sequence[Choice]) -> list[list[range]]:
    """The text as pieces in order, for each its readings as numbers of words.

    Args:
        count: how many words there are.
        choices: among them.
    """
    first = {choice.spans[0][0]: choice for choice in choices}
    slots: list[list[range]] = []
    at = 0
    while at < count:
        choice = first.get(at)
        spans = choice.spans if choice else ((at, at + 1),)
        slots.append([range(*span) for span in spans])
        at = spans[-1][1]
    return slots


def words_of_path(count: int, choices: Sequence[Choice], passed: set[int]) -> list[int]:
    """Numbers of the words that are said.

    Args:
        count: how many words there are.
        choices: among them.
        passed: words that a path goes through.
    """
    said: list[int] = []
    for slot in slots_of(count, choices):
        said += next((reading for reading in slot if reading[0] in passed), slot[0])
    return said


def chosen(choices: Sequence[Choice], texts: Sequence[str], said: Sequence[int]) -> list[Reading]:
    """How the pieces that can be said in several ways were read.

    Args:
        choices: among the words.
        texts: all words.
        said: numbers of those that are said.
    """
    place = {word: number for number, word in enumerate(said)}
    found = []
    for choice in choices:
        spoken = [" ".join(texts[a:b]).lower() for a, b in choice.spans]
        (which,) = [k for k, (a, _) in enumerate(choice.spans) if a in place]
        first, last = choice.spans[which]
        others = tuple(text for k, text in enumerate(spoken) if k != which)
        found.append(
            Reading(choice.written, spoken[which], others, (place[first], place[last - 1]))
        )
    return found


def reading_rows(readings: Sequence[Reading]) -> list[list[str]]:
    """Lines of ``readings.tsv`` without their utterance, as :data:`COLUMNS` names them."""
    return [
        [r.written, r.said, f"{r.words[0]}", f"{r.words[1]}", " | ".join(r.others)]
        for r in readings
    ]


COLUMNS = ("utt", "written", "said", "first_word", "last_word", "others")
"""Of ``readings.tsv``."""


def write_readings(folder: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write ``readings.tsv``, where there are any."""
    if rows:
        write_tsv(folder / "readings.tsv", COLUMNS, rows)
