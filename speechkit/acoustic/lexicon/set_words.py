"""The canonical phones of every utterance of a set: as scored, or looked up for its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import Choice, Policy, lay_out
from speechkit.acoustic.lexicon.spoken import Token
from speechkit.base.errors import UserError
from speechkit.base.text import visible
from speechkit.kaldi.data import DataDir
from speechkit.labels.score_files import canonical_phones, scored_words
from speechkit.labels.scores import WordScores


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
    variants: tuple[Sequence[tuple[str, ...]], ...]
    choices: tuple[Choice, ...] = ()
    scored: tuple[tuple[int, str], ...] = ()


def words_of_text(text: str, lexicon: Lexicon, policy: Policy | None = None) -> Words:
    """Words of a text and their pronunciations.

    Args:
        text: as written.
        lexicon: of the pronunciations.
        policy: for numbers and marks; default: the likeliest reading, marks refused.

    Raises:
        UserError: no words, marks that are not words, a number that cannot be said, or a word
            without pronunciation.
    """
    tokens = (policy or Policy()).tokens(text)
    return _words([_known(token, lexicon) for token in tokens], lexicon)


def _words(tokens: Sequence[Token], lexicon: Lexicon) -> Words:
    texts, choices = lay_out(tokens)
    return Words(texts, tuple(lexicon.words(texts)), choices)


def _known(token: Token, lexicon: Lexicon) -> Token:
    """Without the readings whose pronunciation would be a guess, where others are left."""
    if len(token.readings) == 1:
        return token
    known = tuple(r for r in token.readings if all(map(lexicon.knows, r)))
    return replace(token, readings=known or token.readings[:1])


def words_of_set(
    dataset: DataDir,
    lexicon: Path | None = None,
    guess: bool = True,
    policy: Policy | None = None,
) -> dict[str, Words | UserError]:
    """Words of every utterance, or what is wrong with its text.

    With ``phone_scores.tsv`` the canonical phones are those that were scored; without it they
    are looked up, and words whose pronunciation is a guess are reported.

    Args:
        dataset: the set.
        lexicon: pronunciations that go before the built-in ones.
        guess: let espeak-ng pronounce words that no lexicon has.
        policy: for numbers and marks in texts.
    """
    policy = policy or Policy()
    found: dict[str, Words | UserError] = {}
    scored = canonical_phones(dataset.path)
    if scored is not None:
        for utterance in dataset.utterances:
            found[utterance.id] = _as_scored(
                scored.get(utterance.id), dataset.text.get(utterance.id, "")
            )
        return found
    table = Lexicon(lexicon, guess=guess)
    words = scored_words(dataset.path)
    policy.tell([dataset.text.get(utterance.id, "") for utterance in dataset.utterances])
    for utterance in dataset.utterances:
        try:
            given = policy.tokens(dataset.text.get(utterance.id, ""))
            tokens = [_known(token, table) for token in given]
            found[utterance.id] = replace(
                _words(tokens, table), scored=_scored(tokens, utterance.id, words)
            )
        except UserError as error:
            found[utterance.id] = error
    table.report()
    return found


def _scored(
    tokens: Sequence[Token], utterance: str, table: Mapping[str, Sequence[WordScores]]
) -> tuple[tuple[int, str], ...]:
    """``Words.scored``; none where every scored word is said in one word."""
    given = table.get(utterance, ())
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
