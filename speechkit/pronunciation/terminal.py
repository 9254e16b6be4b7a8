"""An assessment in a terminal: the scores of the whole, then a line for each word."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from speechkit.labels.miscues import SAID
from speechkit.pronunciation.assessment import SAID_BADLY, PhoneResult, Result, Verdict

_COLOURS = ((0.5, "bold red"), (0.8, "yellow"), (1.01, "green"))
"""Colour of the share of a scale that a score stays below."""


def shown(result: Result) -> RenderableType:
    """One recording."""
    parts: list[RenderableType] = [
        Text.assemble((result.file, "bold"), f"  {result.seconds:.2f} s")
    ]
    if not result.matches:
        sure = f"(confidence {result.confidence:.2f})"
        text = f"The text is probably not what is said {sure}: these scores mean little."
        parts.append(Text(text, "bold red"))
    if result.utterance:
        ends = result.scales["utterance"]
        scores = (
            (f"{name} ", _coloured(value, ends[name]), "   ")
            for name, value in result.utterance.items()
        )
        parts.append(Text.assemble("  ", *(part for score in scores for part in score)))
    parts.append(_table(result))
    for each in result.insertions:
        told = f"  inserted at {each.start:.2f} to {each.end:.2f} s: {' '.join(each.phones)}"
        parts.append(Text(told, "red"))
    for reading in result.readings:
        count = len(reading.others)
        others = f"{count} other readings fit" if count > 1 else "another reading fits"
        told = f"  '{reading.written}' read as: {reading.said} ({others} less)"
        parts.append(Text(told, "dim"))
    return Group(*parts, "")


def _table(result: Result) -> Table:
    ends = result.scales.get("word", {})
    of_phones = result.scales.get("phone", {}).get("accuracy", (0.0, 2.0))
    table = Table(box=None, padding=(0, 2), header_style="dim")
    verdicts = any(word.verdict for word in result.words)
    for name in ("word", *ends, *(["status"] * verdicts), "phones", "heard"):
        table.add_column(name, justify="right" if name in ends else "left")
    for word in result.words:
        main = next((n for n in ("total", "accuracy") if n in word.scores), "")
        style = colour(word.scores[main], ends[main]) if main else ""
        scores = [
            Text.assemble(_coloured(word.scores[name], ends[name]) if name in word.scores else "-")
            for name in ends
        ]
        table.add_row(
            Text.assemble((word.word, style), ("*" if word.guessed else "", "dim")),
            *scores,
            *([_status(word.verdict)] * verdicts),
            Text.assemble(*(part for phone in word.phones for part in _phone(phone, of_phones))),
            Text(word.heard, "red"),
        )
    return table


def legend(result: Result) -> Text:
    """What the numbers and colours mean."""
    of = {level: next(iter(ends.values())) for level, ends in result.scales.items() if ends}
    ranges = ", ".join(f"{level}s {low:g} to {high:g}" for level, (low, high) in of.items())
    status = " The number after a status is the probability that the word was said."
    return Text.assemble(
        (f"Scales: {ranges}; higher is better. ", "dim"),
        *(("red", "bold red"), (": lower half, ", "dim")),
        *(("yellow", "yellow"), (": to 80 %, ", "dim")),
        *(("green", "green"), (": above. *: pronunciation guessed.", "dim")),
        (status if any(word.verdict for word in result.words) else "", "dim"),
    )


def colour(value: float, ends: tuple[float, float]) -> str:
    """Style of a score: red in the lower half of its scale, yellow to 80 %, then green."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 1.0
    return next((style for limit, style in _COLOURS if share < limit), _COLOURS[-1][1])


def _status(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    style = {SAID: "green", SAID_BADLY: "yellow"}.get(verdict.status, "bold red")
    return Text(f"{verdict.status} {verdict.probabilities[SAID]:.2f}", style)


def _coloured(value: float, ends: tuple[float, float]) -> tuple[str, str]:
    return f"{value:.1f}", colour(value, ends)


def _phone(phone: PhoneResult, ends: tuple[float, float]) -> tuple[tuple[str, str], ...]:
    value = phone.scores.get("accuracy")
    if value is None:
        return (phone.phone, ""), (" ", "dim")
    return (phone.phone, colour(value, ends)), (f":{value:.1f}  ", "dim")
