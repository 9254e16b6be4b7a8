"""The assessment of one recording: scores of its phones, words and the whole, on their scales;
as lines of a CSV and as tiers of a TextGrid, from the rows of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from speechkit.acoustic.lexicon.readings import Reading, as_field, readings_of
from speechkit.base.textgrid import Interval, Tier
from speechkit.labels.miscues import SAID
from speechkit.labels.phones import ipa
from speechkit.labels.scores import Scales
from speechkit.pronunciation import assessment
from speechkit.pronunciation.assessment import Insertion, PhoneResult, Verdict, WordResult
from speechkit.task.prediction.jobs import RecordingResult, about_of
from speechkit.task.prediction.saved import Row
from speechkit.task.prediction.written import Forms

_COLOURS = ((0.5, "bold red"), (0.8, "yellow"), (1.01, "green"))
"""Colour of the share of a scale that a score stays below."""
_COLUMNS = (
    *("file", "text", "level", "word_index", "word", "phone", "start", "end"),
    *("accuracy", "completeness", "fluency", "prosodic", "stress", "total"),
    *("seconds", "matches", "confidence", "pronunciation"),
    *("suspect", "likely", "heard", "advantage_nats"),
    *("status", "p_said", "p_substitution", "p_omission", "said_llr_nats"),
)


@dataclass(frozen=True)
class Result(RecordingResult):
    """One recording.

    Args:
        scales: level -> score -> (lowest, highest).
        utterance: the scores of the whole.
        spread: standard deviation of those over the model's seeds.
        words: in order, as they are said.
        readings: how what can be said in several ways (``1984``) was read.
        insertions: what was said between the words.
    """

    scales: Scales
    utterance: dict[str, float]
    spread: dict[str, float]
    words: list[WordResult] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    insertions: list[Insertion] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.about(),
            "scales": {k: {a: list(r) for a, r in v.items()} for k, v in self.scales.items()},
            "utterance": assessment.rounded(self.utterance),
            "spread_over_seeds": assessment.rounded(self.spread),
            "words": [assessment.word_row(word) for word in self.words],
            **as_field(self.readings),
            **(
                {"insertions": [each.as_dict() for each in self.insertions]}
                if self.insertions
                else {}
            ),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Result:
        """The reverse of :meth:`as_dict`, of numbers as they are rounded there."""
        scales = {
            level: {name: (low, high) for name, (low, high) in ends.items()}
            for level, ends in row["scales"].items()
        }
        return cls(
            *about_of(row),
            scales,
            row["utterance"],
            row["spread_over_seeds"],
            [assessment.word_of(word, scales) for word in row["words"]],
            readings_of(row),
            [Insertion(**each) for each in row.get("insertions", ())],
        )

    def __rich__(self) -> RenderableType:
        """For a terminal: the scores of the whole, then a line for each word."""
        parts: list[RenderableType] = [
            Text.assemble((self.file, "bold"), f"  {self.seconds:.2f} s")
        ]
        if not self.matches:
            text = "The text is probably not what is said: these scores mean little."
            parts.append(Text(text, "bold red"))
        if self.utterance:
            ends = self.scales["utterance"]
            scores = (
                (f"{name} ", _coloured(value, ends[name]), "   ")
                for name, value in self.utterance.items()
            )
            parts.append(Text.assemble("  ", *(part for score in scores for part in score)))
        parts.append(self._table())
        for each in self.insertions:
            told = f"  inserted at {each.start:.2f} to {each.end:.2f} s: {' '.join(each.phones)}"
            parts.append(Text(told, "red"))
        for reading in self.readings:
            count = len(reading.others)
            others = f"{count} other readings fit" if count > 1 else "another reading fits"
            told = f"  '{reading.written}' read as: {reading.said} ({others} less)"
            parts.append(Text(told, "dim"))
        return Group(*parts, "")

    def _table(self) -> Table:
        ends = self.scales.get("word", {})
        of_phones = self.scales.get("phone", {})
        table = Table(box=None, padding=(0, 1), header_style="dim")
        verdicts = any(word.verdict for word in self.words)
        for name in ("word", *ends, *(["status"] * verdicts), "phones", "heard"):
            side: Any = "right" if name in ends else "left"
            table.add_column(name, justify=side, no_wrap=name in ("word", "status"))
        for word in self.words:
            main = next((n for n in ("total", "accuracy", *ends) if n in word.scores), "")
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
                *([_status(word.verdict)] * verdicts),
                Text.assemble(
                    *(part for phone in word.phones for part in _phone(phone, of_phones))
                ),
                Text(word.heard, "red"),
            )
        return table

    def legend(self) -> Text:
        """What the numbers and colours mean."""
        of = {level: next(iter(ends.values())) for level, ends in self.scales.items() if ends}
        ranges = ", ".join(f"{level}s {low:g} to {high:g}" for level, (low, high) in of.items())
        status = " The number after a status is the probability that the word was said."
        return Text.assemble(
            (f"Scales: {ranges}; higher is better. ", "dim"),
            *(("red", "bold red"), (": lower half, ", "dim")),
            *(("yellow", "yellow"), (": to 80 %, ", "dim")),
            *(("green", "green"), (": above. *: pronunciation guessed.", "dim")),
            (status if any(word.verdict for word in self.words) else "", "dim"),
        )


def colour(value: float, ends: tuple[float, float]) -> str:
    """Style of a score: red in the lower half of its scale, yellow to 80 %, then green."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 1.0
    return next((style for limit, style in _COLOURS if share < limit), _COLOURS[-1][1])


def _status(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    style = {SAID: "green", assessment.SAID_BADLY: "yellow"}.get(verdict.status, "bold red")
    return Text(f"{verdict.status} {verdict.probabilities[SAID]:.2f}", style)


def _coloured(value: float, ends: tuple[float, float]) -> tuple[str, str]:
    return f"{value:.{2 if ends[1] - ends[0] <= 1 else 1}f}", colour(value, ends)


def _phone(
    phone: PhoneResult, ends: Mapping[str, tuple[float, float]]
) -> tuple[tuple[str, str], ...]:
    name = next((n for n in ("accuracy", *ends) if n in phone.scores), "")
    if not name:
        return (phone.phone, ""), (" ", "dim")
    shown, style = _coloured(phone.scores[name], ends.get(name, (0.0, 2.0)))
    return (phone.phone, style), (f":{shown}  ", "dim")


def lines(row: Row) -> list[Mapping[str, Any]]:
    """A line for the recording, one for each word, followed by those of its phones, and one for
    each insertion."""
    of = {"file": row["file"], "text": row["text"]}
    about = ("seconds", "matches", "confidence")
    whole = {name: row[name] for name in about if name in row}
    found: list[Mapping[str, Any]] = [{**of, "level": "utterance", **row["utterance"], **whole}]
    for number, word in enumerate(row["words"]):
        of_word = {**of, "word_index": number, "word": word["word"]}
        found.append({**of_word, "level": "word", **_plain(word)})
        found += [{**of_word, "level": "phone", **_plain(phone)} for phone in word["phones"]]
    for each in row.get("insertions", ()):
        said = " ".join(each["phones"])
        found.append({**of, "level": "insertion", **_plain(each), "phone": said})
    return found


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if not isinstance(value, list | dict)}


def tiers(row: Row) -> list[Tier]:
    """Words, phones, and the main score of each (of words the total, else the accuracy).

    Where a result has them, the status of the words and what was inserted too.
    """
    words = [_interval(word, "word", row) for word in row["words"]]
    phones = [_interval(phone, "phone", row) for word in row["words"] for phone in word["phones"]]
    status = [Interval(word["start"], word["end"], word.get("status", "")) for word in row["words"]]
    inserted = [
        Interval(each["start"], each["end"], " ".join(each["phones"]))
        for each in row.get("insertions", ())
    ]
    return [
        Tier("words", [part for part, _ in words]),
        Tier("phones", [part for part, _ in phones]),
        Tier("scores", [score for _, score in words if score.label]),
        Tier("phone scores", [score for _, score in phones if score.label]),
        *([Tier("status", status)] if any(each.label for each in status) else []),
        *([Tier("insertions", inserted)] if inserted else []),
    ]


def _interval(part: Mapping[str, Any], level: str, row: Row) -> tuple[Interval, Interval]:
    """A word or phone, and the same with its score in place of its name."""
    ends: Mapping[str, tuple[float, float]] = row["scales"].get(level, {})
    main = next(
        (name for name in ("total", "accuracy", *ends) if name in part and name in ends), ""
    )
    share, label = None, ""
    if main and part[main] is not None:
        low, high = ends[main]
        share = (part[main] - low) / (high - low) if high > low else 1.0
        label = f"{part[main]:g}"
    one = Interval(part["start"], part["end"], part[level], share)
    return one, one._replace(label=label)


FORMS = Forms(_COLUMNS, lines, tiers, ctm=("words", "phones"))


def in_ipa(result: Result) -> Result:
    """The same with its phones, and those that were heard, in IPA."""
    return Result.from_dict(_ipa_below(result.as_dict()))


def _ipa_below(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _ipa_below(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_ipa_below(inner, key) for inner in value]
    is_phone = key in ("phone", "phones", "heard") and isinstance(value, str)
    return ipa(value) if is_phone else value
