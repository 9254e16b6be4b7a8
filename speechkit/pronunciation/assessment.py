"""What is said about one recording: scores of its phones, words and the whole, on their scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.acoustic.lexicon.readings import Reading, as_field, readings_of
from speechkit.labels.scores import LEVELS, Scales

if TYPE_CHECKING:
    from speechkit.phone_features.request import Extracted
    from speechkit.pronunciation.model_folder import Assessment

MISSING = "-"
"""In place of what was heard: nothing."""


@dataclass(frozen=True)
class Alternative:
    """What was probably said instead of a canonical phone.

    Args:
        heard: an ARPAbet phone, or :data:`MISSING`.
        advantage: log-likelihood by which it is better than the canonical phone, in nats
            (negative: the canonical phone fits best, this comes next).
    """

    heard: str
    advantage: float


@dataclass(frozen=True)
class PhoneResult:
    """One phone: its time in seconds, its scores, and for a suspect one what was heard."""

    phone: str
    start: float
    end: float
    scores: dict[str, float]
    suspect: bool = False
    heard: Alternative | None = None


@dataclass(frozen=True)
class WordResult:
    """One word; ``guessed`` says that its pronunciation was in no lexicon."""

    word: str
    start: float
    end: float
    scores: dict[str, float]
    phones: list[PhoneResult]
    guessed: bool = False


@dataclass(frozen=True)
class Result:
    """One recording.

    Args:
        file: its name.
        text: as it was given.
        seconds: its length.
        matches: False where the text is probably not what is said.
        confidence: of that, see :mod:`speechkit.acoustic.align.alignment`.
        scales: level -> score -> (lowest, highest).
        utterance: the scores of the whole.
        spread: standard deviation of those over the model's seeds.
        words: in order, as they are said.
        readings: how what can be said in several ways (``1984``) was read.
    """

    file: str
    text: str
    seconds: float
    matches: bool
    confidence: float
    scales: Scales
    utterance: dict[str, float]
    spread: dict[str, float]
    words: list[WordResult] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "file": self.file,
            "text": self.text,
            "seconds": round(self.seconds, 3),
            "matches": self.matches,
            "confidence": round(self.confidence, 4),
            "scales": {k: {a: list(r) for a, r in v.items()} for k, v in self.scales.items()},
            "utterance": _rounded(self.utterance),
            "spread_over_seeds": _rounded(self.spread),
            "words": [_word(word) for word in self.words],
            **as_field(self.readings),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Result:
        """The reverse of :meth:`as_dict`, of numbers as they are rounded there."""
        scales = {
            level: {name: (low, high) for name, (low, high) in ends.items()}
            for level, ends in row["scales"].items()
        }
        return cls(
            str(row["file"]),
            str(row["text"]),
            row["seconds"],
            row["matches"],
            row["confidence"],
            scales,
            row["utterance"],
            row["spread_over_seeds"],
            [_word_of(word, scales) for word in row["words"]],
            readings_of(row),
        )


def _word(word: WordResult) -> dict[str, Any]:
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        **_rounded(word.scores),
        "pronunciation": "guessed" if word.guessed else "lexicon",
        "phones": [_phone(phone) for phone in word.phones],
    }


def _phone(phone: PhoneResult) -> dict[str, Any]:
    found: dict[str, Any] = {
        "phone": phone.phone,
        "start": round(phone.start, 3),
        "end": round(phone.end, 3),
        **_rounded(phone.scores),
        "suspect": phone.suspect,
    }
    if phone.heard is not None:
        missing = phone.heard.heard == MISSING
        found["likely"] = "deletion" if missing else "substitution"
        found["heard"] = None if missing else phone.heard.heard
        found["advantage_nats"] = round(phone.heard.advantage, 2)
    return found


def _word_of(row: Mapping[str, Any], scales: Scales) -> WordResult:
    return WordResult(
        row["word"],
        row["start"],
        row["end"],
        {name: row[name] for name in scales.get("word", {}) if name in row},
        [_phone_of(phone, scales) for phone in row["phones"]],
        guessed=row["pronunciation"] == "guessed",
    )


def _phone_of(row: Mapping[str, Any], scales: Scales) -> PhoneResult:
    heard = Alternative(row["heard"] or MISSING, row["advantage_nats"]) if "heard" in row else None
    scores = {name: row[name] for name in scales.get("phone", {}) if name in row}
    return PhoneResult(
        row["phone"], row["start"], row["end"], scores, suspect=row["suspect"], heard=heard
    )


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in scores.items()}


def to_scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Predictions from 0 to 2 on a scale of scores, clipped to it."""
    return np.clip(low + np.asarray(values) / 2 * (high - low), low, high)


def known_scales(card: Mapping[str, Any], aspects: Sequence[str]) -> Scales:
    """The scales of what a model predicts, from its card."""
    scales: Scales = {}
    for level, names in LEVELS.items():
        given = card["scales"].get(level, {})
        for name in names:
            if f"{level}_{name}" in aspects and name in given:
                low, high = given[name]
                scales.setdefault(level, {})[name] = (float(low), float(high))
    return scales


def describe(
    assessed: Assessment,
    extracted: Extracted,
    scales: Scales,
    heard: Sequence[Alternative | None],
    guessed: set[str],
    limit: float,
    *,
    file: str,
    text: str,
    seconds: float,
) -> Result:
    """Put what the models found about one recording in words and scales.

    Args:
        assessed: predictions by S models.
        extracted: the aligned phones.
        scales: of the scores.
        heard: for each phone what fits best in its place.
        guessed: words whose pronunciation was guessed.
        limit: phones scored up to it are suspect, see :func:`suspect_limit`.
        file: name of the recording.
        text: as given.
        seconds: length of the recording.
    """
    phones = _on_scales(assessed.phones, scales.get("phone", {}), "phone")
    of_words = _on_scales(assessed.words, scales.get("word", {}), "word")
    whole = _on_scales(assessed.utterance, scales.get("utterance", {}), "utterance")
    grouped: dict[int, list[PhoneResult]] = {}
    for row, alternative in zip(extracted.rows, heard, strict=True):
        scores = {name: float(values[:, row.index].mean()) for name, values in phones.items()}
        bad = "accuracy" in scores and scores["accuracy"] <= limit
        one = PhoneResult(
            row.phone,
            row.start,
            row.start + row.duration,
            scores,
            suspect=bad,
            heard=alternative if bad else None,
        )
        grouped.setdefault(row.word_index, []).append(one)
    texts = {row.word_index: row.word for row in extracted.rows}
    words = [
        WordResult(
            texts[index],
            members[0].start,
            members[-1].end,
            {name: float(values[:, index].mean()) for name, values in of_words.items()},
            members,
            guessed=texts[index].upper() in guessed,
        )
        for index, members in sorted(grouped.items())
    ]
    alignment = extracted.alignment
    return Result(
        file,
        text,
        seconds,
        alignment.matches,
        alignment.confidence,
        scales,
        {name: float(values.mean()) for name, values in whole.items()},
        {name: float(values.std()) for name, values in whole.items()},
        words,
        extracted.readings,
    )


def _on_scales(
    predictions: Mapping[str, np.ndarray], scales: Mapping[str, tuple[float, float]], level: str
) -> dict[str, np.ndarray]:
    """Score -> predictions on its scale, without the name of the level."""
    return {
        name: to_scale(predictions[f"{level}_{name}"], *ends)
        for name, ends in scales.items()
        if f"{level}_{name}" in predictions
    }


def suspect_limit(cards: Sequence[Mapping[str, Any]], scales: Scales) -> float:
    """The phone score up to which a phone counts as badly said.

    It is the threshold that `evaluate pronunciation` measures recall and precision at: the
    best one on the training set, the mean over the models; else the middle of the scale.

    Args:
        cards: of the models.
        scales: of the scores.
    """
    low, high = scales.get("phone", {}).get("accuracy", (0.0, 2.0))
    found = [(card.get("low_thresholds") or {}).get("phone_accuracy") for card in cards]
    known = [float(value) for value in found if value is not None]
    middle = float(np.mean(known)) if known else 1.0
    return float(to_scale(np.array(middle), low, high))
