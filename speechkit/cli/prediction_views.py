"""How predictions look in a terminal: a row for each recording, or its words coloured by score."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from speechkit.cli.prediction_output import RowTable

if TYPE_CHECKING:
    from speechkit.emotion.predict import Prediction
    from speechkit.labels.scores import Scales
    from speechkit.pronunciation.assessment import PhoneResult, WordResult
    from speechkit.pronunciation.assessment import Result as Assessed
    from speechkit.scoring.predict import Result as Scored
    from speechkit.separation.predict import Separated
    from speechkit.task.prediction.jobs import Job

_SILENT = "(silent)"


class EmotionView:
    """Of ``predict emotion``."""

    def __init__(self, recordings: Sequence[Path]) -> None:
        self._recordings = recordings
        self._table: RowTable | None = None

    def add(self, made: Prediction) -> None:
        if self._table is None:
            columns = ("file", "seconds", "windows", "label", *made.classes)
            self._table = RowTable("Emotion", columns, self._widest(made.classes))
        found = made.probabilities
        cells = [float(p) for p in found] if found is not None else [None] * len(made.classes)
        label = made.label or _SILENT
        row = (str(made.input), round(made.seconds, 1), len(made.windows), label, *cells)
        self._table.add([row])

    def _widest(self, classes: Sequence[str]) -> Sequence[str]:
        if len(self._recordings) < 2:
            return ()
        file = max(map(str, self._recordings), key=len)
        label = max((_SILENT, *classes), key=len)
        return (file, "0000.0", "0000", label, *["0.00000"] * len(classes))

    def close(self) -> None:
        if self._table is not None:
            self._table.close()


class PronunciationView:
    """Of ``predict pronunciation``."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout)
        self._scales: Scales | None = None

    def add(self, result: Assessed) -> None:
        self._scales = result.scales
        self._console.print(render(result))

    def close(self) -> None:
        if self._scales is not None:
            self._console.print(legend(self._scales))


class ScoringView:
    """Of ``predict scoring``."""

    def __init__(self, items: Sequence[Job]) -> None:
        self._items = items
        self._table: RowTable | None = None
        self._guessed = False
        self._readings: list[str] = []

    def add(self, result: Scored) -> None:
        if self._table is None:
            low, high = result.scale
            title = f"{result.target}, from {low:g} to {high:g} (± over {len(result.seeds)} seeds)"
            columns = ("file", "seconds", "score", "text matches", "words")
            self._table = RowTable(title, columns, self._widest())
        self._guessed |= any(word.guessed for word in result.words)
        several = f" ±{result.spread:.1f}" if len(result.seeds) > 1 else ""
        row = (
            result.file,
            round(result.seconds, 2),
            f"{result.score:.1f}{several}",
            "yes" if result.matches else f"probably not ({result.confidence:.2f})",
            " ".join(word.word + "*" * word.guessed for word in result.words),
        )
        self._table.add([row])
        self._readings += [f"{result.file}: {r.written} read as {r.said}" for r in result.readings]

    def _widest(self) -> Sequence[str]:
        if len(self._items) < 2:
            return ()
        files = (str(item.file) for item in self._items)
        texts = (item.text for item in self._items)
        numbers = ("000.00", "00.0 ±0.0", "probably not (0.00)")
        return (max(files, key=len), *numbers, max(texts, key=len))

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
        for line in self._readings:
            print(line)
        if self._guessed:
            print("*: pronunciation guessed")


class SeparationView:
    """Of ``predict separation``."""

    def __init__(self, recordings: Sequence[Path], out: Path | None) -> None:
        widest: Sequence[str] = ()
        if len(recordings) > 1:
            outputs = (str((out or path.parent) / f"{path.stem}_s1.wav") for path in recordings)
            widest = (max(outputs, key=len), "", "")
        self._table = RowTable("Separated", ("file", "seconds", "gain (dB)"), widest)

    def add(self, made: Separated) -> None:
        self._table.add([(str(path), made.seconds, made.gain_db) for path in made.outputs])

    def close(self) -> None:
        self._table.close()


_COLOURS = ((0.5, "bold red"), (0.8, "yellow"), (1.01, "green"))
"""Colour of the share of a scale that a score stays below."""


def colour(value: float, ends: tuple[float, float]) -> str:
    """Style of a score: red in the lower half of its scale, yellow to 80 %, then green."""
    low, high = ends
    share = (value - low) / (high - low) if high > low else 1.0
    return next((style for limit, style in _COLOURS if share < limit), _COLOURS[-1][1])


def render(result: Assessed) -> RenderableType:
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


def _whole(result: Assessed) -> Text:
    line = Text("  ")
    for name, value in result.utterance.items():
        ends = result.scales["utterance"][name]
        line.append(f"{name} ")
        line.append(f"{value:.1f}", colour(value, ends))
        line.append("   ")
    return line


def _words(result: Assessed) -> Table:
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
