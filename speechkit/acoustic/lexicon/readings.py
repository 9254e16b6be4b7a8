"""The words of a text or a set with their pronunciations, all readings side by side.

The words of all readings stand in one list, in the order of the text; a :class:`Choice` says
which of them are readings of one piece. Words that no choice names are said in any case::

    text      IN   24                              MAY
    words      0   1 TWENTY 2 FOUR | 3 TWO 4 FOUR   5
    choice         spans (1, 3), (3, 5)
    slots     [0]  [1 2] or [3 4]                  [5]

A path of the alignment through 0, 3, 4, 5 says IN TWO FOUR MAY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from speechkit.acoustic.config import Policy, TextConfig
from speechkit.acoustic.lexicon.dictionary import Lexicon, Pronunciation
from speechkit.acoustic.lexicon.numbers import IN_WORDS
from speechkit.acoustic.lexicon.text import Token
from speechkit.base.errors import UserError
from speechkit.base.tables import write_tsv
from speechkit.base.text import visible
from speechkit.kaldi.data import DataDir
from speechkit.labels.score_files import canonical_phones, scored_words
from speechkit.labels.scores import WordScores

MAX_WORDS = 20_000  # of all readings of what can be said in several ways, in one text


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
class Words:
    """The words of an utterance.

    Args:
        texts: as they are said, those of all readings.
        variants: of each word its pronunciations.
        choices: which of them are readings of one piece of the text.
        scored: where words of the text have scores, but are said in several words (``1984``):
            for each word the number of the scored one that it belongs to, and its name.
    """

    texts: tuple[str, ...]
    variants: tuple[Sequence[Pronunciation], ...]
    choices: tuple[Choice, ...] = ()
    scored: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Reading:
    """How a piece of a text was read.

    Args:
        written: as it stands in the text.
        said: the words that fit the audio best.
        words: numbers of the first and the last of its words among those that are said.
        others: the readings that fit it less.
    """

    written: str
    said: str
    words: tuple[int, int]
    others: tuple[str, ...]

    def cells(self) -> list[str]:
        """Its line of ``readings.tsv`` (:data:`COLUMNS`) without the utterance."""
        return [self.written, self.said, *map(str, self.words), " | ".join(self.others)]


COLUMNS = ("utt", "written", "said", "first_word", "last_word", "others")
"""Of ``readings.tsv``."""


def write_readings(folder: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write ``readings.tsv``, where there are any."""
    if rows:
        write_tsv(folder / "readings.tsv", COLUMNS, rows)


def as_field(readings: Sequence[Reading]) -> dict[str, Any]:
    """The field ``readings`` of a result; none where nothing could be said in several ways."""
    rows = [
        {**asdict(reading), "words": list(reading.words), "others": list(reading.others)}
        for reading in readings
    ]
    return {"readings": rows} if rows else {}


def readings_of(row: Mapping[str, Any]) -> list[Reading]:
    """The reverse of :func:`as_field`."""
    return msgspec.convert(row.get("readings", []), list[Reading])


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
    """The pieces of a text of ``count`` words, for each its readings as numbers of words."""
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
    """Numbers of the words that are said, of a path through the words ``passed``."""
    said: list[int] = []
    for slot in slots_of(count, choices):
        said += next((reading for reading in slot if reading[0] in passed), slot[0])
    return said


def chosen(choices: Sequence[Choice], texts: Sequence[str], said: Sequence[int]) -> list[Reading]:
    """How the pieces that can be said in several ways were read.

    Args:
        said: numbers of those that are said.
    """
    place = {word: number for number, word in enumerate(said)}
    found = []
    for choice in choices:
        spoken = [" ".join(texts[a:b]).lower() for a, b in choice.spans]
        (which,) = [k for k, (a, _) in enumerate(choice.spans) if a in place]
        first, last = choice.spans[which]
        words = (place[first], place[last - 1])
        others = tuple(spoken[:which] + spoken[which + 1 :])
        found.append(Reading(choice.written, spoken[which], words, others))
    return found


def words_of_text(text: str, lexicon: Lexicon, policy: Policy | None = None) -> Words:
    """Words of a text and their pronunciations.

    Args:
        policy: for numbers and marks; default: the likeliest reading, marks refused.

    Raises:
        UserError: no words, marks that are not words, a number that cannot be said, or a word
            without pronunciation.
    """
    return _words(text, lexicon, policy or Policy())[0]


def _words(text: str, lexicon: Lexicon, policy: Policy) -> tuple[Words, list[Token]]:
    tokens = [_known(token, lexicon) for token in policy.tokens(text)]
    texts, choices = lay_out(tokens)
    return Words(texts, tuple(lexicon.words(texts)), choices), tokens


def _known(token: Token, lexicon: Lexicon) -> Token:
    """Without the readings whose pronunciation would be a guess, where others are left."""
    if len(token.readings) == 1:
        return token
    known = tuple(r for r in token.readings if all(map(lexicon.knows, r)))
    return replace(token, readings=known or token.readings[:1])


def words_of_set(dataset: DataDir, config: TextConfig) -> dict[str, Words | UserError]:
    """Words of every utterance, or what is wrong with its text.

    With ``phone_scores.tsv`` the canonical phones are those that were scored; without it they
    are looked up, and words whose pronunciation is a guess are reported.
    """
    texts = {u.id: dataset.text.get(u.id, "") for u in dataset.utterances}
    canonical = canonical_phones(dataset.path)
    if canonical is not None:
        return {name: _as_scored(canonical.get(name), text) for name, text in texts.items()}
    table, scores = Lexicon(config.lexicon, guess=config.guess), scored_words(dataset.path)
    config.policy.warn_dropped([*texts.values()])
    found: dict[str, Words | UserError] = {}
    for name, text in texts.items():
        try:
            words, tokens = _words(text, table, config.policy)
            found[name] = replace(words, scored=_scored(tokens, scores.get(name, ())))
        except UserError as error:
            found[name] = error
    table.report()
    return found


def _scored(tokens: Sequence[Token], given: Sequence[WordScores]) -> tuple[tuple[int, str], ...]:
    """``Words.scored``; none where every scored word is said in one word."""
    written = sorted({token.first for token in tokens})
    whole = all(token.first == token.last for token in tokens)
    if len(given) != len(written) or not whole:
        return ()
    place = {number: index for index, number in enumerate(written)}
    found = tuple(
        (place[token.first], given[place[token.first]].word)
        for token in tokens
        for reading in token.readings
        for _ in reading
    )
    return found if len(found) > len(given) else ()


def _as_scored(phones: list[list[str]] | None, text: str) -> Words | UserError:
    if not phones or not all(phones):
        return UserError(
            "phone_scores.tsv has no phones for it." if not phones else "A word has no phones.",
            "Add them, or remove phone_scores.tsv to look pronunciations up in a lexicon.",
        )
    words = visible(text).split()
    texts = words if len(words) == len(phones) else [""] * len(phones)
    return Words(tuple(texts), tuple([tuple(word)] for word in phones))
