"""The assessment of one recording: scores of its phones, words and the whole, on their scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechkit.acoustic.lexicon.readings import Reading, as_field, readings_of
from speechkit.labels.scores import Scales

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

MISSING = "-"
"""In place of what was heard: nothing."""
_COLOURS = ((0.5, "bold red"), (0.8, "yellow"), (1.01, "green"))
"""Colour of the share of a scale that a score stays below."""


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

    @property
    def heard(self) -> str:
        """What was probably said instead of its suspect phones, in words."""
        return ", ".join(_heard(phone) for phone in self.phones if phone.suspect)


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

    def __rich__(self) -> RenderableType:
        """For a terminal: the scores of the whole, then a line for each word."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [
            Text.assemble((self.file, "bold"), f"  {self.seconds:.2f} s")
        ]
        if not self.matches:
            sure = f"(confidence {self.confidence:.2f})"
            text = f"The text is probably not what is said {sure}: these scores mean little."
            parts.append(Text(text, "bold red"))
        if self.utterance:
            ends = self.scales["utterance"]
            scores = (
                (f"{name} ", _coloured(value, ends[name]), "   ")
                for name, value in self.utterance.items()
            )
            parts.append(Text.assemble("  ", *(part for score in scores for part in score)))
        parts.append(self._table())
        for reading in self.readings:
            count = len(reading.others)
            others = f"{count} other readings fit" if count > 1 else "another reading fits"
            told = f"  '{reading.written}' read as: {reading.said} ({others} less)"
            parts.append(Text(told, "dim"))
        return Group(*parts, "")

    def _table(self) -> Table:
        ends = self.scales.get("word", {})
        from rich.table import Table
        from rich.text import Text

        of_phones = self.scales.get("phone", {}).get("accuracy", (0.0, 2.0))
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("word", *ends, "phones", "heard"):
            table.add_column(name, justify="right" if name in ends else "left")
        for word in self.words:
            main = next((n for n in ("total", "accuracy") if n in word.scores), "")
            style = colour(word.scores[main], ends[main]) if main else ""
            scores = [
                Text.assemble(
                    _coloured(word.scores[name], ends[name]) if name in word.scores else "-"
                )
                for name in ends
            ]
            table.add_row(
                Text.assemble((word.word, style), ("*" if word.guessed else "", "dim")),
                *scores,
                Text.assemble(
                    *(part for phone in word.phones for part in _shown(phone, of_phones))
                ),
                Text(word.heard, "red"),
            )
        return table

    def legend(self) -> Text:
        """What the numbers and colours mean."""
        from rich.text import Text

        of = {level: next(iter(ends.values())) for level, ends in self.scales.items() if ends}
        ranges = ", ".join(f"{level}s {low:g} to {high:g}" for level, (low, high) in of.items())
        return Text.assemble(
            (f"Scales: {ranges}; higher is better. ", "dim"),
            *(("red", "bold red"), (": lower half, ", "dim")),
            *(("yellow", "yellow"), (": to 80 %, ", "dim")),
            *(("green", "green"), (": above. *: pronunciation guessed.", "dim")),
        )


def colour(value: float, ends: tuple[float, float]) -> str:
    """Style of a score: red in the lower half of its scale, yellow to 80 %, then green."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 1.0
    return next((style for limit, style in _COLOURS if share < limit), _COLOURS[-1][1])


def _coloured(value: float, ends: tuple[float, float]) -> tuple[str, str]:
    return f"{value:.1f}", colour(value, ends)


def _shown(phone: PhoneResult, ends: tuple[float, float]) -> tuple[tuple[str, str], ...]:
    value = phone.scores.get("accuracy")
    if value is None:
        return (phone.phone, ""), (" ", "dim")
    return (phone.phone, colour(value, ends)), (f":{value:.1f}  ", "dim")


def _heard(phone: PhoneResult) -> str:
    if phone.heard is not None and phone.heard.heard == MISSING:
        return f"{phone.phone} left out"
    if phone.heard is None or phone.heard.advantage <= 0:
        return f"{phone.phone} unclear"
    return f"{phone.phone} like {phone.heard.heard}"


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
