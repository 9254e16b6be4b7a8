"""The canonical phones of every utterance of a set: as scored, or looked up for its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.acoustic.lexicon import Lexicon, normalise_text
from speechkit.errors import UserError
from speechkit.kaldi.data import DataDir
from speechkit.pronunciation.labels import canonical_phones


@dataclass(frozen=True)
class Words:
    """The words of an utterance.

    Args:
        texts: as written.
        variants: of each word its pronunciations.
    """

    texts: tuple[str, ...]
    variants: tuple[Sequence[tuple[str, ...]], ...]


def words_of_text(text: str, lexicon: Lexicon) -> Words:
    """Words of a text and their pronunciations.

    Raises:
        UserError: no words, a number that cannot be said, or a word without pronunciation.
    """
    words = normalise_text(text)
    if not words:
        raise UserError(
            f"The text '{text}' has no words." if text.strip() else "The text is empty.",
            "Give what is read in the recording.",
        )
    return Words(tuple(words), tuple(lexicon.words(words)))


def words_of_set(
    dataset: DataDir, lexicon: Path | None = None, guess: bool = True
) -> dict[str, Words | UserError]:
    """Words of every utterance, or what is wrong with its text.

    With ``phone_scores.tsv`` the canonical phones are those that were scored; without it they
    are looked up, and words whose pronunciation is a guess are reported.

    Args:
        dataset: the set.
        lexicon: pronunciations that go before the built-in ones.
        guess: let espeak-ng pronounce words that no lexicon has.
    """
    found: dict[str, Words | UserError] = {}
    scored = canonical_phones(dataset.path)
    if scored is not None:
        for utterance in dataset.utterances:
            found[utterance.id] = _as_scored(
                scored.get(utterance.id), dataset.text.get(utterance.id, "")
            )
        return found
    table = Lexicon(lexicon, guess=guess)
    for utterance in dataset.utterances:
        try:
            found[utterance.id] = words_of_text(dataset.text.get(utterance.id, ""), table)
        except UserError as error:
            found[utterance.id] = error
    table.report()
    return found


def _as_scored(phones: list[list[str]] | None, text: str) -> Words | UserError:
    if not phones or not all(phones):
        return UserError(
            "phone_scores.tsv has no phones for it." if not phones else "A word has no phones.",
            "Add them, or remove phone_scores.tsv to look pronunciations up in a lexicon.",
        )
    words = text.split()
    texts = words if len(words) == len(phones) else [""] * len(phones)
    return Words(tuple(texts), tuple([tuple(word)] for word in phones))
