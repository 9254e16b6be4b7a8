"""Phones of a set in memory: their features, and the scores at each level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET, pure
from speechkit.labels.scores import split_aspect
from speechkit.phone_features.feature_folder import PhoneRow

SCALE = 2.0
"""Scores go from 0 to 2 in the models, whatever their own scale is (as in GOPT)."""

PHONE_IDS = {phone: number for number, phone in enumerate(ARPABET, 1)}
"""Phone -> id in the models; 0 is no phone."""


@dataclass
class PhoneSet:
    """U utterances of N phones in W words, with features of every phone.

    Args:
        features: float32 ``[N, D]``, of all phones in order.
        phones: canonical, as given, of each row.
        first: row of the first phone of each utterance, and N: int64 ``[U + 1]``.
        words: word of each phone, counted over the whole set: int64 ``[N]``.
        first_word: of each utterance, and W: int64 ``[U + 1]``.
        features_of: ``features.json`` of the folders whose columns stand side by side.
        skipped: utterance and reason of what was left out.
    """

    name: str = ""
    utterances: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    phones: list[str] = field(default_factory=list)
    first: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    words: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    first_word: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    features_of: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def phone_ids(self) -> np.ndarray:
        """Ids of the phones in the models, from 1: int64 ``[N]``."""
        return phone_ids(self.phones)

    @property
    def fingerprints(self) -> list[str | None]:
        """Of the features."""
        return [one.get("fingerprint") for one in self.features_of]

    def require_features_of(self, other: PhoneSet) -> None:
        """Raise UserError unless another set has features of the same kind."""
        if self.fingerprints != other.fingerprints:
            raise UserError(
                f"'{self.name}' and '{other.name}' have features of different acoustic models or "
                "settings.",
                "Extract them again with the same flags of `speechkit extract-gop` or `speechkit "
                "extract-deep`.",
            )

    def part(self, kept: Sequence[int] | np.ndarray) -> Self:
        """Some of the utterances, by their numbers, in this order."""
        rows, words = _places(self.first, kept), _places(self.first_word, kept)
        place = np.full(self.first_word[-1], -1)
        place[words] = np.arange(len(words))
        return replace(
            self,
            utterances=[self.utterances[u] for u in kept],
            speakers=[self.speakers[u] for u in kept],
            features=self.features[rows],
            phones=[self.phones[row] for row in rows],
            first=_starts(self.first, kept),
            words=place[self.words[rows]],
            first_word=_starts(self.first_word, kept),
            **self._items(rows, words, np.asarray(kept)),
        )

    def _items(self, rows: np.ndarray, words: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
        """What subclasses know of these phones, words and utterances."""
        return {}

    def fill(
        self, utterances: Iterable[tuple[str, str, Sequence[PhoneRow], np.ndarray]]
    ) -> list[PhoneRow]:
        """Take utterances: id, speaker, rows of the phones, and their features; gives all rows.

        Raises:
            UserError: phones that are not ARPAbet.
        """
        matrices, words, first, first_word = [], [], [0], [0]
        every: list[PhoneRow] = []
        for name, speaker, rows, matrix in utterances:
            self.utterances.append(name)
            self.speakers.append(speaker)
            matrices.append(matrix)
            every += rows
            words.append(np.array([row.word_index for row in rows], np.int64) + first_word[-1])
            first.append(first[-1] + len(rows))
            first_word.append(first_word[-1] + rows[-1].word_index + 1)
        self.features, self.words = np.concatenate(matrices), np.concatenate(words)
        self.first, self.first_word = np.array(first), np.array(first_word)
        self.phones = [row.phone for row in every]
        self.phone_ids  # noqa: B018 (unknown phones are named here)
        return every


@dataclass
class ScoredSet(PhoneSet):
    """The same with scores of phones, words and utterances.

    Args:
        texts: of the words.
        labels: aspect -> float32 ``[N]``, ``[W]`` or ``[U]`` from 0 to 2; NaN: not scored.
        scales: of the scores as given, as in ``Scores``.
        statuses: of each word, its number in :data:`speechkit.labels.miscues.STATUSES`: int64
            ``[W]``.
    """

    texts: list[str] = field(default_factory=list)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    scales: dict[str, Any] = field(default_factory=dict)
    statuses: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def _items(self, rows: np.ndarray, words: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
        items = {"phone": rows, "word": words, "utterance": kept}
        return {
            "texts": [self.texts[word] for word in words],
            "labels": {a: v[items[split_aspect(a)[0]]] for a, v in self.labels.items()},
            "statuses": self.statuses[words],
        }

    def of_phones(self, aspect: str) -> np.ndarray:
        """Labels of a phone or word aspect for every phone ``[N]``: a word's for each of its."""
        values = self.labels[aspect]
        return values if aspect.startswith("phone_") else values[self.words]


def _places(first: np.ndarray, kept: Sequence[int] | np.ndarray) -> np.ndarray:
    """Places of the items of some utterances, of which ``first`` are the first ones."""
    return np.concatenate([np.arange(first[u], first[u + 1]) for u in kept])


def _starts(first: np.ndarray, kept: Sequence[int] | np.ndarray) -> np.ndarray:
    """``first`` of these utterances alone."""
    return np.append(0, np.cumsum(np.diff(first)[list(kept)]))


def phone_ids(phones: Sequence[str]) -> np.ndarray:
    """Ids in the models, int64.

    Raises:
        UserError: phones that are not ARPAbet.
    """
    found = [PHONE_IDS.get(pure(phone), 0) for phone in phones]
    if 0 in found:
        unknown = sorted({p for p, number in zip(phones, found, strict=True) if not number})
        raise UserError(
            f"Not in the inventory of the models: {', '.join(unknown)}.",
            f"Phones are ARPAbet, with or without stress: {' '.join(ARPABET)}.",
        )
    return np.array(found, dtype=np.int64)


def single(
    features: np.ndarray, phones: Sequence[str], words: Sequence[int], aspects: Sequence[str]
) -> ScoredSet:
    """One text without scores.

    Args:
        phones: the P canonical phones.
        words: index of the word of each phone, ascending from 0.
        aspects: that will be predicted.
    """
    index = np.asarray(words, dtype=np.int64)
    count = int(index[-1]) + 1
    sizes = {"phone": len(phones), "word": count, "utterance": 1}
    blank = {a: np.full(sizes[split_aspect(a)[0]], np.nan, np.float32) for a in aspects}
    return ScoredSet(
        "",
        ["text"],
        [""],
        features,
        list(phones),
        np.array([0, len(phones)]),
        index,
        np.array([0, count]),
        texts=[""] * count,
        labels=blank,
        statuses=np.zeros(count, np.int64),
    )


def joined(first: ScoredSet, second: ScoredSet) -> ScoredSet:
    """The utterances of two sets with the same features, those of the first before the others."""
    return replace(
        first,
        utterances=first.utterances + second.utterances,
        speakers=first.speakers + second.speakers,
        features=np.concatenate([first.features, second.features]),
        phones=first.phones + second.phones,
        first=np.append(first.first, second.first[1:] + first.first[-1]),
        words=np.append(first.words, second.words + first.first_word[-1]),
        first_word=np.append(first.first_word, second.first_word[1:] + first.first_word[-1]),
        skipped=first.skipped + second.skipped,
        texts=first.texts + second.texts,
        labels={a: np.append(values, second.labels[a]) for a, values in first.labels.items()},
        statuses=np.append(first.statuses, second.statuses),
    )
