"""Scores of pronunciation in memory: what experts gave an utterance, its words and its phones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVELS: dict[str, tuple[str, ...]] = {
    "phone": ("accuracy",),
    "word": ("accuracy", "stress", "total"),
    "utterance": ("accuracy", "completeness", "fluency", "prosodic", "total"),
}
"""What is scored at each level."""

ASPECTS = tuple(f"{level}_{name}" for level, names in LEVELS.items() for name in names)
"""The nine aspects in the order of the paper's tables, ``phone_accuracy`` first."""

Scales = dict[str, dict[str, tuple[float, float]]]
"""Level -> name of the score -> (lowest, highest) possible value."""

RaterScores = dict[str, dict[str, dict[str, float]]]
"""Utterance -> rater -> name of the score -> what this rater gave."""


@dataclass(frozen=True)
class WordScores:
    """A word and what it was given; names that it was not scored in are absent."""

    word: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PhoneScore:
    """A canonical phone.

    Args:
        phone: as given, with or without stress: ``IY0``.
        word_index: index of its word in the utterance, from 0.
        accuracy: its score; NaN if it was not scored.
    """

    phone: str
    word_index: int
    accuracy: float = math.nan


def default_scales() -> Scales:
    """Those of speechocean762: phones 0 to 2, words and utterances 0 to 10."""
    return {
        level: dict.fromkeys(names, (0.0, 2.0 if level == "phone" else 10.0))
        for level, names in LEVELS.items()
    }


@dataclass
class Scores:
    """All scores of a set, in the scales they were given in.

    Args:
        utterances: utterance -> name (``fluency``) -> score; what was not scored is absent.
        words: utterance -> its words in order.
        phones: utterance -> its canonical phones in order.
        scales: between which values each score lies.
    """

    utterances: dict[str, dict[str, float]] = field(default_factory=dict)
    words: dict[str, list[WordScores]] = field(default_factory=dict)
    phones: dict[str, list[PhoneScore]] = field(default_factory=dict)
    scales: Scales = field(default_factory=default_scales)

    def values(self, aspect: str) -> np.ndarray:
        """All scores of an aspect of ``ASPECTS``, float64 ``[N]``, without those not given."""
        import numpy as np  # not above: command lines read the names of scores

        level, name = split_aspect(aspect)
        found: Iterable[float]
        if level == "phone":
            found = (p.accuracy for phones in self.phones.values() for p in phones)
        elif level == "word":
            found = (
                word.scores.get(name, math.nan) for words in self.words.values() for word in words
            )
        else:
            found = (scores.get(name, math.nan) for scores in self.utterances.values())
        array = np.fromiter(found, np.float64)
        return array[~np.isnan(array)]

    def aspects(self) -> tuple[str, ...]:
        """The aspects in which anything was scored, in the order of ``ASPECTS``."""
        return tuple(aspect for aspect in ASPECTS if len(self.values(aspect)))

    def wider_scales(self) -> str:
        """Scales that hold all scores, as ``score_scales`` takes them; empty if these do."""
        found = []
        for aspect in ASPECTS:
            level, name = split_aspect(aspect)
            low, high = self.scales[level][name]
            values = [value for value in self.values(aspect).tolist() if math.isfinite(value)]
            if len(values) and not (low <= min(values) and max(values) <= high):
                low, high = min(low, math.floor(min(values))), max(high, math.ceil(max(values)))
                found.append(f"{level}.{name}={low:g}:{high:g}")
        return ",".join(found)

    def names(self) -> set[str]:
        """Ids of all utterances that are scored at any level."""
        return {*self.utterances, *self.words, *self.phones}

    def part(self, utterances: Iterable[str]) -> Scores:
        """The scores of some utterances."""
        kept = set(utterances)
        return Scores(
            {name: scores for name, scores in self.utterances.items() if name in kept},
            {name: words for name, words in self.words.items() if name in kept},
            {name: phones for name, phones in self.phones.items() if name in kept},
            self.scales,
        )


def split_aspect(aspect: str) -> tuple[str, str]:
    """``word_stress`` -> (``word``, ``stress``)."""
    level, _, name = aspect.partition("_")
    return level, name
