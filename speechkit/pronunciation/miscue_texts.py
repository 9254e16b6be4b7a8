"""Texts changed so that a recording does not say them as they stand.

Corpora of learners hold hardly any miscue (see :mod:`speechkit.labels.miscues`), but of a recording
whose text is known they are easily made, by changing the text. Somebody said "we call it bear"::

    we call at bear        a substitution: nobody said "at"
    we call it green bear  an omission: nobody said "green"
    we it bear             an insertion: "call" was said, and is not in the text

What nobody said has the lowest scores, the rest those that were given. Phones that a false word
shares with the true one, in order, were said and keep their score: of "it" (IH T) under the text
"at" (AE T), the AE has the lowest score and the T its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

import numpy as np

from speechkit.acoustic.align.phone_loop import edits
from speechkit.labels.miscues import OMISSION, SAID, SUBSTITUTION
from speechkit.labels.phones import pure
from speechkit.labels.scores import PhoneScore, Scores

NEAR = 2  # phones by which a near word differs at most
UNSAID = -math.inf  # in place of a score: the lowest of its scale
_TRIES = 20  # texts that are looked at for one without a common word


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Args:
        text: as written.
        phones: canonical, with their scores.
        scores: of the word.
        status: one of :data:`speechkit.labels.miscues.STATUSES`.
        said: what was said in its place.
        distance: of the two, in phones.
        before: words that were said before it and are missing in the text.
    """

    text: str
    phones: tuple[PhoneScore, ...]
    scores: dict[str, float] = field(default_factory=dict)
    status: str = SAID
    said: str = ""
    distance: int = 0
    before: tuple[str, ...] = ()

    @property
    def pure(self) -> tuple[str, ...]:
        """Its phones without stress."""
        return tuple(pure(each.phone) for each in self.phones)


Text = list[Word]
Texts = Mapping[str, Text]


def texts_of(scores: Scores, utterances: Iterable[str]) -> dict[str, Text]:
    """Utterance -> its words with phones and scores; without those that lack either."""
    found = {}
    for name in utterances:
        words, phones = scores.words.get(name), scores.phones.get(name)
        if words and phones:
            of_word: list[list[PhoneScore]] = [[] for _ in words]
            for phone in phones:
                of_word[phone.word_index].append(phone)
            pairs = zip(words, of_word, strict=True)
            found[name] = [Word(word.word, tuple(own), word.scores) for word, own in pairs]
    return found


class Vocabulary:
    """Words to put into texts: ``tokens`` are all, as often as they come, ``words`` those of
    different pronunciation.

    Args:
        texts: that they come from.
        changed: texts that they are put into.
    """

    def __init__(self, texts: Texts, changed: Texts) -> None:
        self.tokens = [word for text in texts.values() for word in text]
        self.words = list({word.pure: word for word in self.tokens}.values())
        self._lengths = np.array([len(word.phones) for word in self.words])
        self._sounds: dict[str, set[tuple[str, ...]]] = {}
        for text in (*texts.values(), *changed.values()):
            for word in text:
                self._sounds.setdefault(word.text, set()).add(word.pure)
        self._others: dict[tuple[str, tuple[str, ...]], tuple[list[Word], list[Word]]] = {}

    def may_be(self, word: Word, other: Word) -> bool:
        """Whether who says one may say the other: the words, or any of their pronunciations in the
        texts, are the same."""
        sounds = self._sounds[word.text]
        return word.text == other.text or not sounds.isdisjoint(self._sounds[other.text])

    def others(self, word: Word) -> tuple[list[Word], list[Word]]:
        """Other words of as many phones, one more or one less: near ones, and far ones."""
        key = word.text, word.pure
        if key not in self._others:
            near, far = list[Word](), list[Word]()
            for k in np.flatnonzero(abs(self._lengths - len(word.phones)) <= 1):
                other = self.words[k]
                if not self.may_be(word, other):
                    (near if sum(edits(word.pure, other.pure)) <= NEAR else far).append(other)
            self._others[key] = near, far
        return self._others[key]


def replaced(text: Text, at: int, other: Word) -> Text:
    """The text with another word at a place: a substitution."""
    word, said = text[at], dict[int, PhoneScore]()
    matches = SequenceMatcher(None, word.pure, other.pure, autojunk=False)
    for block in matches.get_matching_blocks():
        for k in range(block.size):
            said[block.b + k] = word.phones[block.a + k]
    new = _unsaid(other, word)
    phones = tuple(
        replace(phone, accuracy=said[k].accuracy) if k in said else phone
        for k, phone in enumerate(new.phones)
    )
    new = replace(
        new,
        phones=phones,
        status=SUBSTITUTION,
        said=word.text,
        distance=sum(edits(word.pure, other.pure)),
        before=word.before,
    )
    return [*text[:at], new, *text[at + 1 :]]


def added(text: Text, at: int, other: Word) -> Text:
    """The text with a word more before the one at a place: an omission."""
    new = replace(_unsaid(other, text[0]), status=OMISSION, distance=len(other.phones))
    return [*text[:at], new, *text[at:]]


def removed(text: Text, at: int) -> Text:
    """The text without a word (not the last) that was said: an insertion."""
    gone, following = text[at], text[at + 1]
    before = (*gone.before, gone.text, *following.before)
    return [*text[:at], replace(following, before=before), *text[at + 2 :]]


def wrong(texts: Texts, text: Text, draw: np.random.Generator) -> Text | None:
    """The words of another utterance, none of which was said: substitutions of nothing known.

    None where no text without a common word was found.
    """
    own, names = set(_marks(text)), list(texts)
    for number in draw.integers(len(names), size=_TRIES).tolist():
        if own.isdisjoint(_marks(texts[names[number]])):
            return [
                replace(_unsaid(word, text[0]), status=SUBSTITUTION, distance=len(word.phones))
                for word in texts[names[number]]
            ]
    return None


def _marks(text: Text) -> list[object]:
    return [mark for word in text for mark in (word.text, word.pure)]


def _unsaid(word: Word, scored: Word) -> Word:
    """A word that nobody said, scored in what another was, stress apart."""
    given = {name: UNSAID for name in scored.scores if name != "stress"}
    accuracy = math.nan if math.isnan(scored.phones[0].accuracy) else UNSAID
    return Word(word.text, tuple(replace(p, accuracy=accuracy) for p in word.phones), given)
