"""How scores of pronunciation look in a terminal: words and phones coloured by score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from speechkit.labels.scores import Scales
    from speechkit.pronunciation.assessment import PhoneResult, Result, WordResult

_COLOURS = ((0.5, "bold red"), (0.8, "yellow"), (1.01, "green"))
"""Colour of the share of a scale that a score stays below."""


def colour(value: float, ends: tuple[float, float]) -> str:
    """Style of a score: red in the lower half of its scale, yellow to 80 %, then green."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 1.0
    return next((style for limit, style in _COLOURS if share < limit), _COLOURS[-1][1])


def render(result: Result) -> RenderableType:
    """One recording: its scores, then a line for each word."""
    head = Text.assemble((result.file, "bold"), f"  {result.seconds:.2f} s")
    parts: list[RenderableType] = [head]
    if not result.matches:
        parts.append(
            Text(
                "The text is probably not what is said "
                f"(confidence {result.confidence:.2f}): these scores mean little.",
                "bold red",
            )
        )
    if result.utterance:
        parts.append(_whole(result))
    parts.append(_words(result))
    for reading in result.readings:
        count = len(reading.others)
        others = f"{count} other readings fit" if count > 1 else "another reading fits"
        parts.append(Text(f"  '{reading.written}' read as: {reading.said} ({others} less)", "dim"))
    return Group(*parts, "")


def _whole(result: Result) -> Text:
    line = Text("  ")
    for name, value in result.utterance.items():
        ends = result.scales["utterance"][name]
        line.append(f"{name} ")
        line.append(f"{value:.1f}", colour(value, ends))
        line.append("   ")
    return line


def _words(result: Result) -> Table:
    scored = list(result.scales.get("word", {}))
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("word", *scored):
        table.add_column(name, justify="left" if name == "word" else "right")
    table.add_column("phones")
    table.add_column("heard")
    for word in result.words:
        cells = [_score(word.scores, name, result.scales["word"]) for name in scored]
        table.add_row(
            _word(word, result.scales), *cells, _phones(word, result.scales), _heard(word)
        )
    return table


def _score(
    scores: Mapping[str, float], name: str, scales: Mapping[str, tuple[float, float]]
) -> Text:
    if name not in scores:
        return Text("-")
    return Text(f"{scores[name]:.1f}", colour(scores[name], scales[name]))


def _word(word: WordResult, scales: Scales) -> Text:
    ends = scales.get("word", {})
    main = next((n for n in ("total", "accuracy") if n in word.scores), "")
    text = Text(word.word, colour(word.scores[main], ends[main]) if main else "")
    return text.append("*", "dim") if word.guessed else text


def _phones(word: WordResult, scales: Scales) -> Text:
    line = Text()
    ends = scales.get("phone", {}).get("accuracy", (0.0, 2.0))
    for phone in word.phones:
        value = phone.scores.get("accuracy")
        line.append(phone.phone, "" if value is None else colour(value, ends))
        line.append(" " if value is None else f":{value:.1f}  ", "dim")
    return line


def _heard(word: WordResult) -> Text:
    said = [_said(phone) for phone in word.phones if phone.suspect]
    return Text(", ".join(said), "red")


def _said(phone: PhoneResult) -> str:
    from speechkit.pronunciation.assessment import MISSING

    if phone.heard is not None and phone.heard.heard == MISSING:
        return f"{phone.phone} left out"
    if phone.heard is None or phone.heard.advantage <= 0:
        return f"{phone.phone} unclear"
    return f"{phone.phone} like {phone.heard.heard}"


def legend(scales: Scales) -> Text:
    """What the numbers mean."""
    of = {level: next(iter(ends.values())) for level, ends in scales.items() if ends}
    ranges = ", ".join(f"{level}s {low:g} to {high:g}" for level, (low, high) in of.items())
    text = Text(f"Scales: {ranges}; higher is better. ", "dim")
    text.append("red", "bold red").append(": lower half, ", "dim")
    text.append("yellow", "yellow").append(": to 80 %, ", "dim")
    text.append("green", "green").append(": above. *: pronunciation guessed.", "dim")
    return text
