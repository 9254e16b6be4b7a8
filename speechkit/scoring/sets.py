"""A set as the scorer reads it, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from speechkit.phone_features.dataset import phone_ids

BEGIN, MIDDLE, END, SINGLE = 1, 2, 3, 4  # position of a phone in its word


@dataclass
class ScoringSet:
    """U utterances of N phones.

    Args:
        name: of the set.
        utterances: ids.
        speakers: of each utterance.
        features: float32 ``[N, D]``, of all phones in order.
        phones: canonical, as given, of each row.
        first: row of the first phone of each utterance, and N: int64 ``[U + 1]``.
        words: word of each phone, counted over the whole set: int64 ``[N]``.
        first_word: of each utterance, and the number of words: int64 ``[U + 1]``.
        gop: scalar GOP of each phone: float32 ``[N]``.
        starts: of each phone in seconds: float64 ``[N]`` (NaN: not known).
        durations: the same.
        labels: float32 ``[U]`` from 0 to 1; NaN: not scored.
        scale: lowest and highest score as given.
        target: which score of an utterance the labels are.
        features_of: ``features.json`` of the folder.
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
    gop: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    durations: np.ndarray = field(default_factory=lambda: np.zeros(0))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    scale: tuple[float, float] = (0.0, 10.0)
    target: str = ""
    features_of: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def phone_ids(self) -> np.ndarray:
        """Ids of the phones in the models, from 1: int64 ``[N]``."""
        return phone_ids(self.phones)

    @property
    def positions(self) -> np.ndarray:
        """Of each phone in its word: 1 begin, 2 middle, 3 end, 4 the only one; int64 ``[N]``."""
        new = np.diff(self.words, prepend=-1) != 0
        last = np.diff(self.words, append=-1) != 0
        found = np.where(new, BEGIN, np.where(last, END, MIDDLE))
        return np.where(new & last, SINGLE, found).astype(np.int64)

    @property
    def fingerprints(self) -> list[str | None]:
        """Of the features."""
        return [one.get("fingerprint") for one in self.features_of]

    def with_features(self, features: np.ndarray) -> ScoringSet:
        """The same with other features ``[N, D]``."""
        assert len(features) == len(self.phones)
        return replace(self, features=features)

    def subset(self, chosen: np.ndarray) -> ScoringSet:
        """Some of the utterances, int64 ``[U']``, in this order."""
        spans = [(int(self.first[u]), int(self.first[u + 1])) for u in chosen]
        rows = np.concatenate([np.arange(first, last) for first, last in spans])
        counts = np.diff(self.first_word)[chosen]
        first_word = np.concatenate([[0], np.cumsum(counts)])
        moved = first_word[:-1] - self.first_word[:-1][chosen]
        sizes = [last - first for first, last in spans]
        return replace(
            self,
            utterances=[self.utterances[u] for u in chosen],
            speakers=[self.speakers[u] for u in chosen],
            features=self.features[rows],
            phones=[self.phones[n] for n in rows],
            first=np.concatenate([[0], np.cumsum(sizes)]),
            words=self.words[rows] + np.repeat(moved, sizes),
            first_word=first_word,
            gop=self.gop[rows],
            starts=self.starts[rows],
            durations=self.durations[rows],
            labels=self.labels[chosen],
        )
