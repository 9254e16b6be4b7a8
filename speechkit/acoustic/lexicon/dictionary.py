"""Pronunciations of English words.

Looked up in this order: a lexicon file of the user's, pocketsphinx's edition of the CMU
dictionary (134,860 pronunciations, without stress), parts of the word that those have
(``X'S``, ``X-Y``), and espeak-ng's letter-to-sound rules, whose words are noted as guessed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path

from speechkit.acoustic.lexicon import g2p
from speechkit.acoustic.sphinx.files import DICTIONARY, read
from speechkit.base.errors import UserError, closest
from speechkit.base.log import counted, logger
from speechkit.base.text import composed, read_lines, some, visible
from speechkit.labels.phones import ARPABET, pure

Pronunciation = tuple[str, ...]

_MAX_VARIANTS = 8  # of a word put together from parts
_SIBILANTS, _VOICELESS = {"S", "Z", "SH", "ZH", "CH", "JH"}, {"P", "T", "K", "F", "TH"}
_ENDINGS: dict[str, list[Pronunciation]] = {
    "'LL": [("AH", "L")],
    "'VE": [("AH", "V"), ("V",)],
    "'RE": [("ER",)],
    "N'T": [("AH", "N", "T")],
    "'": [()],
}


class Lexicon:
    """Word -> pronunciations.

    Args:
        file: a lexicon in Kaldi's format (``WORD PHONE PHONE ...``, several lines for several
            pronunciations; ARPAbet with or without stress), which goes before everything.
        guess: let espeak-ng pronounce words that no lexicon has.

    Attributes:
        guessed: the words that espeak-ng pronounced.
        file: as given.

    Raises:
        UserError: the file is not such a lexicon.
    """

    def __init__(self, file: Path | None = None, *, guess: bool = True) -> None:
        self.file, self.guess = file, guess
        self.guessed: set[str] = set()
        self._own = read_lexicon(file) if file else {}
        self._known: dict[str, list[Pronunciation]] = {}

    def fresh(self) -> Lexicon:
        """The same that has not been asked for words yet: another thread may ask it."""
        other = copy.copy(self)
        other.guessed, other._known = set(), {}
        return other

    def pronunciations(self, word: str) -> list[Pronunciation]:
        """Pronunciations of a word (any case), the likeliest first.

        Raises:
            UserError: no lexicon has it and guessing is off or fails.
        """
        return self.words([word])[0]

    def words(self, words: Sequence[str]) -> list[list[Pronunciation]]:
        """Pronunciations of each word.

        Raises:
            UserError: names every word that no lexicon has (guessing off), or the first that
                espeak-ng cannot say.
        """
        words = [composed(word).upper() for word in words]
        found = [self._find(word) for word in words]
        missing = sorted({w for w, f in zip(words, found, strict=True) if not f})
        if missing and not self.guess:
            raise UserError(
                f"{_words_are(len(missing))} in no lexicon: {some(missing, 20)}.",
                "Give their pronunciations in a lexicon file (lines 'WORD PHONE PHONE ...'), or "
                "let espeak-ng guess them.",
            )
        for word in missing:
            self._known[word] = [g2p.pronounce(word)]
            self.guessed.add(word)
        return [list(self._known[word]) for word in words]

    def knows(self, word: str) -> bool:
        """Whether a pronunciation of the word need not be guessed."""
        return bool(self._find(word.upper()))

    def report(self) -> None:
        """Warn about the words that espeak-ng pronounced, if there are any."""
        if not self.guessed:
            return
        first = sorted(self.guessed)[:5]
        shown = "; ".join(f"{word} {' '.join(self._known[word][0])}" for word in first)
        more = len(self.guessed) - len(first)
        logger.warning(
            f"{_words_are(len(self.guessed))} in no lexicon; espeak-ng guessed the "
            f"pronunciation: {shown}{f' (and {more} more)' if more else ''}."
        )

    def _find(self, word: str) -> list[Pronunciation]:
        if word not in self._known:
            found = self._own.get(word) or cmu_pronunciations(word) or self._from_parts(word)
            if not found:
                return []
            self._known[word] = found
        return self._known[word]

    def _from_parts(self, word: str) -> list[Pronunciation]:
        """``NACY'S`` from ``NACY``, ``TEN-YEAR`` from both; none if a part is not known."""
        if "-" in word and word.strip("-"):
            parts = [self._find(part) for part in word.split("-") if part]
            joined = [sum(choice, ()) for choice in product(*parts)]
            return joined[:_MAX_VARIANTS]
        for ending, sounds in _ENDINGS.items():
            if stem := word.removesuffix(ending) if word.endswith(ending) else "":
                return [(*p, *s) for p in self._find(stem) for s in sounds][:_MAX_VARIANTS]
        if word.endswith(("'S", "'D")):
            ending_of = _plural if word.endswith("S") else _past
            return [(*p, *ending_of(pure(p[-1]))) for p in self._find(word[:-2])]
        return []


def _plural(last: str) -> Pronunciation:
    return ("IH", "Z") if last in _SIBILANTS else ("S",) if last in _VOICELESS else ("Z",)


def _past(last: str) -> Pronunciation:
    return ("IH", "D") if last in ("T", "D") else ("D",)


def read_lexicon(file: Path) -> dict[str, list[Pronunciation]]:
    """Word (upper case) -> pronunciations of a lexicon in Kaldi's format.

    Entries that are no words (``<unk>``, ``!SIL``) are passed over, as are the probabilities
    of a ``lexiconp.txt``.

    Raises:
        UserError: the file cannot be read, a line has no phones, or a phone is not ARPAbet.
    """
    table: dict[str, list[Pronunciation]] = {}
    for number, line in enumerate(read_lines(file), 1):
        word, *phones = visible(line).split() or [""]
        if word[:1] in ("", "<", "!", "#"):
            continue
        if phones and phones[0][0].isdigit():
            phones = phones[1:]
        known = table.setdefault(composed(word).upper(), [])
        if (entry := _check_phones(phones, f"{file}:{number}: '{line.strip()}'")) not in known:
            known.append(entry)
    if not table:
        raise UserError(f"The lexicon {file} has no words.", "Lines are 'WORD PHONE PHONE ...'.")
    return table


def _check_phones(phones: Iterable[str], where: str) -> Pronunciation:
    entry = tuple(phone.upper() for phone in phones)
    if not entry:
        raise UserError(f"{where} has no phones.", "Lines are 'WORD PHONE PHONE ...'.")
    for phone in entry:
        if pure(phone) not in ARPABET:
            raise UserError(
                f"{where} has the phone '{phone}', which is not ARPAbet."
                f"{closest(pure(phone), ARPABET)}",
                f"Accepted, with or without a stress digit: {', '.join(ARPABET)}.",
            )
    return entry


def cmu_pronunciations(word: str) -> list[Pronunciation]:
    """Pronunciations in pocketsphinx's CMU dictionary, without stress; none if it is not there."""
    text = _dictionary()
    name = word.lower().encode()
    if not name or any(byte <= 32 for byte in name) or b"(" in name:
        return []
    found = []
    at = text.find(b"\n" + name + b" ", *_initial(name[:1]))
    while at >= 0:  # the variants "word(2) ..." follow
        end = text.find(b"\n", at + 1)
        found.append(tuple(text[at + 1 : end].decode().split()[1:]))
        at = end if text.startswith(name + b"(", end + 1) else -1
    return list(dict.fromkeys(found))


@lru_cache
def _initial(letter: bytes) -> tuple[int, int]:
    """Where to look for words with this first letter."""
    first, last = _dictionary().find(b"\n" + letter), _dictionary().rfind(b"\n" + letter)
    return max(first, 0), _dictionary().find(b"\n", last + 1) if first >= 0 else 0


@lru_cache(maxsize=1)
def _dictionary() -> bytes:
    """The file's bytes: searching them is 100 times faster than parsing them (3 MB)."""
    return b"\n" + read(DICTIONARY).replace(b"\r", b"").rstrip(b"\n") + b"\n"


def _words_are(count: int) -> str:
    return counted(count, "word is", "words are")
