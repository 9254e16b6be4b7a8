"""The assessment of the words and phones of a recording, on their scales, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speechkit.labels.miscues import OMISSION, STATUSES
from speechkit.labels.scores import Scales

MISSING = "-"
"""In place of what was heard: nothing."""
SAID_BADLY = "said badly"
PROBABLE = 0.9
"""Probability from which another phone is said to have been heard: on generated substitutions of
training speakers three of four such phones were right."""


@dataclass(frozen=True)
class Alternative:
    """What was probably said instead of a canonical phone.

    Args:
        heard: an ARPAbet phone, or :data:`MISSING`.
        advantage: log-likelihood by which it is better than the canonical phone, in nats
            (negative: the canonical phone fits best, this comes next).
        probability: of it, among all phones in this place and none.
    """

    heard: str
    advantage: float
    probability: float = 1.0


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
class Verdict:
    """What became of a word.

    Args:
        status: ``said``, ``said badly``, ``substitution`` or ``omission``.
        probabilities: of said, substitution and omission.
        raw: the scores of the network before they followed it, on their scales.
    """

    status: str
    probabilities: dict[str, float]
    raw: dict[str, float]


@dataclass(frozen=True)
class Insertion:
    """What was said and stands in no text: its time in seconds, and the phones heard."""

    start: float
    end: float
    phones: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"start": round(self.start, 3), "end": round(self.end, 3), "phones": self.phones}


@dataclass(frozen=True)
class WordResult:
    """One word.

    Args:
        guessed: its pronunciation was in no lexicon.
        verdict: of models that learned from miscues.
        said_llr: log-likelihood ratio, in nats, of its being said against the best other path.
    """

    word: str
    start: float
    end: float
    scores: dict[str, float]
    phones: list[PhoneResult]
    guessed: bool = False
    verdict: Verdict | None = None
    said_llr: float | None = None

    @property
    def heard(self) -> str:
        """What was probably said instead of its suspect phones, in words; of a word that was left
        out nothing."""
        if self.verdict is not None and self.verdict.status == OMISSION:
            return ""
        return ", ".join(_heard(phone) for phone in self.phones if phone.suspect)


def _heard(phone: PhoneResult) -> str:
    if phone.heard is not None and phone.heard.heard == MISSING:
        return f"{phone.phone} left out"
    if phone.heard is None or phone.heard.probability < PROBABLE:
        return f"{phone.phone} unclear"
    return f"{phone.phone} like {phone.heard.heard}"


def word_row(word: WordResult) -> dict[str, Any]:
    """For JSON."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        **rounded(word.scores),
        "pronunciation": "guessed" if word.guessed else "lexicon",
        **_verdict(word),
        "phones": [_phone(phone) for phone in word.phones],
    }


def _verdict(word: WordResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if word.said_llr is not None:
        found["said_llr_nats"] = round(word.said_llr, 2)
    if word.verdict is not None:
        found["status"] = word.verdict.status
        found |= {f"p_{name}": round(p, 4) for name, p in word.verdict.probabilities.items()}
        found["raw"] = rounded(word.verdict.raw)
    return found


def _phone(phone: PhoneResult) -> dict[str, Any]:
    found: dict[str, Any] = {
        "phone": phone.phone,
        "start": round(phone.start, 3),
        "end": round(phone.end, 3),
        **rounded(phone.scores),
        "suspect": phone.suspect,
    }
    if phone.heard is not None:
        missing = phone.heard.heard == MISSING
        found["likely"] = "deletion" if missing else "substitution"
        found["heard"] = None if missing else phone.heard.heard
        found["advantage_nats"] = round(phone.heard.advantage, 2)
        found["heard_probability"] = round(phone.heard.probability, 3)
    return found


def word_of(row: Mapping[str, Any], scales: Scales) -> WordResult:
    return WordResult(
        row["word"],
        row["start"],
        row["end"],
        {name: row[name] for name in scales.get("word", {}) if name in row},
        [_phone_of(phone, scales) for phone in row["phones"]],
        guessed=row["pronunciation"] == "guessed",
        verdict=_verdict_of(row),
        said_llr=row.get("said_llr_nats"),
    )


def _verdict_of(row: Mapping[str, Any]) -> Verdict | None:
    if "status" not in row:
        return None
    return Verdict(row["status"], {name: row[f"p_{name}"] for name in STATUSES}, row["raw"])


def _phone_of(row: Mapping[str, Any], scales: Scales) -> PhoneResult:
    heard = None
    if "heard" in row:
        known = (row["advantage_nats"], row.get("heard_probability", 1.0))
        heard = Alternative(row["heard"] or MISSING, *known)
    scores = {name: row[name] for name in scales.get("phone", {}) if name in row}
    return PhoneResult(
        row["phone"], row["start"], row["end"], scores, suspect=row["suspect"], heard=heard
    )


def rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """For JSON."""
    return {name: round(value, 2) for name, value in scores.items()}
